"""Which faces the slow part of a bundle looks at, and what that says of the others.

A bundle of two parts scores every face with its quick part. The slow one, fifteen times as
expensive, looks at the best few of each person. How far it moves those scores, on average, is how
far it would have moved the others: the difference estimator of survey sampling (Cochran, Sampling
Techniques, 1977, ch. 7). The mean over a person then rests on all frames and on both parts.

Where a stretch of a video looks fake, that stretch and the rest are treated apart, so that a fake
part keeps standing out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unmask.analysis.timeline import find_segments
from unmask.detector.scoring import CropScore
from unmask.types import Face, Score

LOOKS_PER_PERSON = 4
"""Faces of a person, or of a stretch that looks fake, that the slow part sees at most."""

LOOKS_PER_FILE = 20
"""Faces of a file that the slow part sees at most: all of a picture's."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Faces of one person that are treated alike, by their numbers.

    - faces: all that were judged
    - looked_at: those that the slow part sees
    """

    faces: tuple[int, ...]
    looked_at: tuple[int, ...]


def plan_closer_looks(people: Sequence[Sequence[Score]], available: Sequence[int]) -> list[Stretch]:
    """The stretches of the people, those seen in most faces first, as far as the looks reach.

    - people: the scores of each, by the quick part
    - available: numbers of the faces whose crops are at hand
    """
    stretches = [stretch for scores in people for stretch in _stretches(scores)]
    stretches.sort(key=len, reverse=True)
    each = max(1, min(LOOKS_PER_PERSON, LOOKS_PER_FILE // max(1, len(stretches))))
    at_hand = set(available)
    planned: list[Stretch] = []
    left = LOOKS_PER_FILE
    for stretch in stretches:
        candidates = [face for face in stretch if face.id in at_hand]
        chosen = _best_spread(candidates, min(each, left))
        if chosen:
            planned.append(Stretch(tuple(face.id for face in stretch), tuple(chosen)))
            left -= len(chosen)
    return planned


def apply_closer_looks(
    scores: Mapping[int, CropScore],
    stretches: Sequence[Stretch],
    closer: Mapping[int, CropScore],
) -> dict[int, CropScore]:
    """The scores with what the slow part saw.

    - scores: by the quick part, by the face's number
    - closer: by both parts, of the faces that were looked at
    """
    after = dict(scores)
    for stretch in stretches:
        moved = float(np.mean([closer[n].logit - scores[n].logit for n in stretch.looked_at]))
        for number in stretch.faces:
            after[number] = closer.get(number) or _shifted(scores[number], moved)
    return after


def _shifted(score: CropScore, by: float) -> CropScore:
    """The score moved by so much; its heat map too, for its mean is the logit."""
    heatmap = None if score.heatmap is None else score.heatmap + np.float32(by)
    return replace(score, logit=score.logit + by, heatmap=heatmap)


def _stretches(scores: Sequence[Score]) -> list[list[Face]]:
    """The person's judged faces: those in segments that look fake, each by itself, and the rest."""
    judged = [score for score in scores if score.probability_fake is not None]
    rest = [score.face for score in judged]
    stretches = []
    for segment in find_segments(judged) if len(judged) > 1 else ():
        inside = [face for face in rest if segment.start_s <= face.time_s <= segment.end_s]
        stretches.append(inside)
        rest = [face for face in rest if face not in inside]
    return [stretch for stretch in (*stretches, rest) if stretch]


def _best_spread(faces: Sequence[Face], count: int) -> list[int]:
    """The numbers of `count` faces: the best of each of as many parts of the time."""
    if count < 1 or not faces:
        return []
    parts = np.array_split(np.arange(len(faces)), min(count, len(faces)))
    return [max((faces[place] for place in part), key=_quality).id for part in parts]


def _quality(face: Face) -> tuple[float, float]:
    """How well a face can be seen: the larger, the better, then the sharper."""
    if face.quality is None:
        return 0.0, 0.0
    return face.quality.size_px, face.quality.sharpness
