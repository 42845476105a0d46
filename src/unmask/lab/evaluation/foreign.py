"""Scores of other people's detectors, from a CSV file: all figures come for them too."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unmask.errors import ManifestError
from unmask.lab.data.manifest import Item
from unmask.lab.evaluation.metrics import Array
from unmask.types import ModelId

THRESHOLD = 0.5
"""Of a detector that brings no thresholds: at and above it a face is called fake, below it real."""

SHOWN = 5
"""Names in an error."""


@dataclass(frozen=True, slots=True)
class ForeignScores:
    """What another detector said.

    - id: the file's name and digest
    - folder: where the file is; its paths may be relative to it
    - scores: probability of fake by path or id
    """

    id: ModelId
    folder: Path
    scores: Mapping[str, float]

    def of(self, items: Sequence[Item]) -> Array:
        """The probabilities of these items; scores of others are left aside.

        Raises ManifestError where an item has none.
        """
        found = [self._of(item) for item in items]
        missing = [item.name for item, score in zip(items, found, strict=True) if score is None]
        if missing:
            more = " …" if len(missing) > SHOWN else ""
            raise ManifestError(
                f"{self.id.name} has no score for {len(missing)} of {len(items)} items:"
                f" {', '.join(missing[:SHOWN])}{more}"
            )
        return np.array([score for score in found if score is not None])

    def _of(self, item: Item) -> float | None:
        names = [item.name]
        if item.path is not None:
            place = item.path.absolute()
            names += [str(item.path), str(place)]
            if place.is_relative_to(self.folder):
                names.append(str(place.relative_to(self.folder)))
        return next((self.scores[name] for name in names if name in self.scores), None)


def read_scores(path: Path) -> ForeignScores:
    """The scores of a CSV file: `path` or `id`, `score`, and `frame` where a video has several.

    - score: probability of fake, 0–1; of several frames the mean of the log-odds is taken, as a
      scan does

    Raises ManifestError for what is missing, double or no probability, with its row.
    """
    try:
        content = path.read_bytes()
        rows = list(csv.DictReader(content.decode("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read: {error}") from error
    columns = set(rows[0]) if rows else set()
    named = next((column for column in ("path", "id") if column in columns), None)
    if named is None or "score" not in columns:
        raise ManifestError(f"{path} needs the columns path (or id) and score, and at least a row")
    odds: dict[str, list[float]] = {}
    seen: dict[tuple[str, str], int] = {}
    for number, row in enumerate(rows, start=2):  # the head is line 1
        name, frame = str(row[named] or "").strip(), str(row.get("frame") or "")
        if not name:
            raise ManifestError(f"{path}, line {number}: no {named}")
        if first := seen.get((name, frame)):
            raise ManifestError(f"{path}, line {number}: {name} has a score already, line {first}")
        seen[name, frame] = number
        odds.setdefault(name, []).append(_log_odds(row["score"], path, number))
    scores = {name: 1 / (1 + math.exp(-float(np.mean(values)))) for name, values in odds.items()}
    return ForeignScores(
        ModelId(path.stem, "scores", hashlib.sha256(content).hexdigest()),
        path.parent.absolute(),
        scores,
    )


def _log_odds(score: str | None, path: Path, number: int) -> float:
    try:
        value = float(score or "")
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:  # false for NaN too
        raise ManifestError(
            f"{path}, line {number}: the score must be a probability of fake between 0 and 1,"
            f" but is {score!r}"
        )
    clipped = min(max(value, 1e-9), 1 - 1e-9)
    return math.log(clipped / (1 - clipped))
