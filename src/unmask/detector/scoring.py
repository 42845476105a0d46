"""Crops → scores. A scan asks for crops to be scored and is paused meanwhile.

So the path of a file reads from top to bottom (`scan.py`), and whoever runs it decides what is
scored together: a video's crops by themselves, those of several pictures in one batch.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from unmask.bundle import Scorer
from unmask.bundle.card import Card
from unmask.bundle.session import Scored, has_two_parts
from unmask.faces.alignment import corners_of, landmarks_of
from unmask.types import Face, Floats, Image, Report, Score


@dataclass(frozen=True, slots=True, eq=False)
class ScoringRequest:
    """Crops that a scan wants scored before it goes on.

    - crops: each (size, size, 3) uint8 RGB
    - may_wait: whether they may wait to be scored together with other files'
    - quick: whether to leave the bundle's slow part out, where it has one
    - video: whether they are frames of a video, which some bundles judge otherwise
    """

    crops: Sequence[Image]
    may_wait: bool
    quick: bool = False
    video: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class CropScore:
    """What the bundle says of one crop.

    - logit: its raw output
    - heatmap: (h, w) float32, or None if it was not asked for
    - novelty: how unlike the training faces, or None from a bundle that does not say
    - quick: whether a bundle's slow part was left out
    """

    logit: float
    heatmap: Floats | None
    novelty: float | None
    quick: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ScoredCrops:
    """The answer to a ScoringRequest.

    - scores: in the order of the crops
    - seconds: of work that they took
    """

    scores: tuple[CropScore, ...]
    seconds: float


Scoring = Generator[ScoringRequest, ScoredCrops, None]
"""A part of a scan: yields crops that it wants scored, and is sent their scores."""

ScanSteps = Generator[ScoringRequest, ScoredCrops, Report]
"""A scan of one file, which returns its report."""


class PausedScan:
    """A scan that has run until it needs scores.

    - request: what it waits for; None once it has ended
    - report: what it returned, once it has ended
    """

    def __init__(self, steps: ScanSteps) -> None:
        """Run the scan as far as it gets.

        Raises what the scan raises.
        """
        self._steps = steps
        self._total_s = 0.0
        self.request: ScoringRequest | None = None
        self.report: Report | None = None
        self._advance(None)

    def resume(self, scored: ScoredCrops) -> None:
        """Go on with the scores of the wanted crops.

        Raises what the scan raises.
        """
        self._total_s += scored.seconds
        self._advance(scored)

    def _advance(self, scored: ScoredCrops | None) -> None:
        started = perf_counter()
        try:
            # a generator takes no value before its first step
            self.request = next(self._steps) if scored is None else self._steps.send(scored)
            self._total_s += perf_counter() - started
        except StopIteration as end:
            self._total_s += perf_counter() - started
            self.request = None
            timing = replace(end.value.timing_s, total=self._total_s)
            self.report = replace(end.value, timing_s=timing)


def score_together(
    scorer: Scorer, requests: Sequence[ScoringRequest], *, explain: bool
) -> list[ScoredCrops]:
    """Score what several scans ask for in one go: the answer to each, in their order."""
    answers: dict[int, ScoredCrops] = {}
    for quick in (True, False):
        places = [place for place, request in enumerate(requests) if request.quick is quick]
        crops = [crop for place in places for crop in requests[place].crops]
        of_video = [requests[place].video for place in places for _ in requests[place].crops]
        scores, seconds_each = _score(scorer, crops, of_video, explain=explain, quick=quick)
        start = 0
        for place in places:
            count = len(requests[place].crops)
            mine = tuple(scores[start : start + count])
            answers[place] = ScoredCrops(mine, seconds_each * count)
            start += count
    return [answers[place] for place in range(len(requests))]


def _score(
    scorer: Scorer,
    crops: Sequence[Image],
    of_video: Sequence[bool],
    *,
    explain: bool,
    quick: bool,
) -> tuple[list[CropScore], float]:
    """The scores of the crops, and the seconds that each took.

    - of_video: which crops are frames of a video
    """
    if not crops:
        return [], 0.0
    started = perf_counter()
    if quick and has_two_parts(scorer):
        scored = scorer.score(crops, explain=explain, quick=True)
    else:
        scored, quick = scorer.score(crops, explain=explain), False
    seconds_each = (perf_counter() - started) / len(crops)
    scores = [
        _crop_score(scored, place, quick=quick, video=video) for place, video in enumerate(of_video)
    ]
    return scores, seconds_each


def _crop_score(scored: Scored, place: int, *, quick: bool, video: bool) -> CropScore:
    """What the bundle says of the crop at `place`.

    A heat map is that of the picture, moved so that its mean stays the logit.
    """
    logit = float(scored.logits[place])
    heatmap = None if scored.heatmaps is None else scored.heatmaps[place]
    if video and scored.video_logits is not None:
        moved = float(scored.video_logits[place]) - logit
        logit += moved
        heatmap = None if heatmap is None else heatmap + np.float32(moved)
    novelty = None if scored.novelty is None else float(scored.novelty[place])
    return CropScore(logit, heatmap, novelty, quick)


def run_alone(scan: PausedScan, scorer: Scorer, *, explain: bool) -> Report:
    """Run a scan to its end, scoring what it asks for by itself."""
    while scan.request is not None:
        (answer,) = score_together(scorer, [scan.request], explain=explain)
        scan.resume(answer)
    assert scan.report is not None  # it has ended
    return scan.report


def gate_by_novelty(face: Face, novelty: float | None, card: Card) -> Face:
    """The face with its novelty, refused where it is too unlike the training faces."""
    if novelty is None or face.quality is None:
        return face
    quality = replace(face.quality, novelty=novelty)
    return replace(face, quality=replace(quality, unusable=card.gates.refuse(quality)))


def to_score(face: Face, scored: CropScore | None, card: Card) -> Score:
    """The calibrated score of a face; without numbers where it was not scored."""
    if scored is None:
        return Score(face, None, None)
    corners = None
    if scored.heatmap is not None:
        corners = corners_of(landmarks_of(face), card.crop)
    probability = card.calibration.probability(scored.logit)
    return Score(face, scored.logit, probability, scored.heatmap, corners, scored.quick)
