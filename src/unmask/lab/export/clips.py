"""Thresholds for clips: when does the mean over a person's frames mean fake, or real?

The frames of a clip depend on each other, so how a mean over them varies cannot be computed from
single faces. It is measured on whole clips, scanned as a user's are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as students_t

from unmask.analysis.timeline import log_odds, sigmoid
from unmask.analysis.verdict import MIN_FACES, judged_faces, suspicion
from unmask.detector import Detector
from unmask.errors import LabError
from unmask.lab.data.manifest import Item
from unmask.lab.evaluation.metrics import Array
from unmask.lab.evaluation.rates import exact_rate, threshold_held
from unmask.types import Report

FALSE_ALARMS = 0.01
"""Share of real clips of the same kind that may lie above the fake threshold."""

MARGIN = 0.25
"""Log-odds that the fake threshold lies above the most suspicious real clip, at least."""

FEWEST = 10
"""Clips of each class that are needed: with fewer, nothing is known of how they vary."""


@dataclass(frozen=True, slots=True)
class ClipScores:
    """What a detector says of clips: labels (n,) 0 or 1, probabilities (n,), and their names."""

    labels: Array
    probabilities: Array
    names: tuple[str, ...]


def score_clips(
    detector: Detector, clips: Sequence[Item], advance: Callable[[], Any] = lambda: None
) -> ClipScores:
    """The probability of the most suspicious person of each clip.

    Everybody counts who could be called fake or real, so who was judged in `MIN_FACES` frames: of
    somebody seen for a moment in a film a few blurred faces are at hand, and these have accused
    innocents that longer appearances did not. Clips without anybody are left out.
    """
    paths = [clip.path or Path(clip.name) for clip in clips]
    rows: list[tuple[int, float, str]] = []
    results = detector.scan_many(paths, stability=False)
    for clip, result in zip(clips, results, strict=True):
        advance()
        if not isinstance(result, Report):
            continue
        people = [person for person in result.people if judged_faces(person) >= MIN_FACES]
        if people:
            first = min(people, key=suspicion)
            rows.append((clip.label, first.verdict.probability_fake or 0.0, clip.name))
    labels, probabilities, names = zip(*rows, strict=True) if rows else ((), (), ())
    return ClipScores(np.array(labels), np.array(probabilities), tuple(names))


def choose_clip_thresholds(scores: ClipScores, misses: float) -> dict[str, Any]:
    """The card's part `thresholds.clip`.

    `fake` is the bound that one more real clip would exceed with a probability of `FALSE_ALARMS`,
    and lies a little above every real clip, but never below an even chance. A few dozen clips do
    not show how a hundredth of all clips looks, so the bound takes their log-odds as normally
    distributed: mean + t · s · √(1 + 1/n), a prediction limit (Hahn & Meeker, Statistical
    Intervals, 1991).

    `real` lies where at most `misses` of the fake clips are at or below it, but never above `fake`.

    Both may be stricter than for one face. Those were chosen on portraits, and what a film, a
    broadcast or a generator does to a face it does to all its frames.

    Raises LabError for fewer than `FEWEST` clips of a class.
    """
    reals = scores.probabilities[scores.labels == 0]
    fakes = scores.probabilities[scores.labels == 1]
    if min(len(reals), len(fakes)) < FEWEST:
        raise LabError(
            f"thresholds for clips need at least {FEWEST} real and {FEWEST} fake clips with a"
            f" person judged in {MIN_FACES} frames, but there are {len(reals)} and {len(fakes)}"
        )
    fake = max(sigmoid(_highest_expected(reals)), 0.5)
    real = min(-threshold_held(-fakes, misses), fake)
    return {
        "min_faces": MIN_FACES,
        "chosen_on": f"{len(reals)} real and {len(fakes)} fake clips, the mean over their frames",
        "fake": {"probability": fake, **exact_rate(reals >= fake)},
        "real": {"probability": real, **exact_rate(fakes <= real)},
    }


def _highest_expected(reals: Array) -> float:
    """The log-odds that nearly all real clips lie below."""
    values = np.array([log_odds(float(probability)) for probability in reals])
    n = len(values)
    deviations = float(students_t.ppf(1 - FALSE_ALARMS, n - 1)) * np.sqrt(1 + 1 / n)
    limit = values.mean() + deviations * values.std(ddof=1)
    return float(max(limit, values.max() + MARGIN))
