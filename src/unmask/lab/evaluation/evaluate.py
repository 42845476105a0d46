"""Measure detectors on labelled items, through the same path as a scan."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from unmask.detector import Detector
from unmask.errors import ManifestError
from unmask.lab.data.manifest import Item
from unmask.lab.evaluation.by_column import by_column, require_column
from unmask.lab.evaluation.foreign import THRESHOLD, ForeignScores
from unmask.lab.evaluation.metrics import Array, by_video, delong, summarise
from unmask.lab.evaluation.results import write_comparison, write_evaluation
from unmask.lab.evaluation.sources import by_method, by_source, summary
from unmask.types import Failure, Report


@dataclass(frozen=True)
class Scores:
    """What a detector said of items.

    - probabilities: of fake, (n,), NaN where nothing was judged
    - faults: why, in words (empty where all is well)
    - faces: (row, probability) of every judged face of a scan
    - verdicts: the label of each file of a scan, `failed` where there is none; empty for crops
    """

    probabilities: Array
    faults: list[str]
    faces: list[tuple[int, float]] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Evaluation:
    """The figures of several detectors.

    - metrics: of each detector, by its name
    - pairs: DeLong's test of each pair (see `compare`)
    """

    metrics: dict[str, dict[str, Any]]
    pairs: list[dict[str, Any]]


def evaluate_detectors(
    detectors: Mapping[str, Detector | ForeignScores],
    items: Sequence[Item],
    out: Path,
    *,
    crops: bool = False,
    frames: int | None = None,
    by: Sequence[str] = (),
    jobs: int | None = None,
    advance: Callable[[], Any] = lambda: None,
) -> Evaluation:
    """Score `items` with each detector, or take the scores of other people's.

    Writes metrics.json, metrics.csv, scores.parquet, report.md, report.html and plots into `out`;
    with several detectors into a folder of `out` for each, and comparison.json, .md and .html
    beside them.

    - crops: the items are face crops already, and each is judged. Otherwise each is scanned like
      any file, and those without a verdict on a face count in coverage
    - by: columns of the manifest by which rates of errors are given (`by_column`)
    - advance: called once an item is done

    Raises OutputError, and ManifestError for a column that no row has.
    """
    for column in by:
        require_column(items, column)
    metrics_of: dict[str, dict[str, Any]] = {}
    scores_of: dict[str, Scores] = {}
    for name, detector in detectors.items():
        if isinstance(detector, ForeignScores):
            scores = Scores(detector.of(items), [""] * len(items))
        else:
            scores = score_items(
                detector, items, crops=crops, frames=frames, jobs=jobs, advance=advance
            )
        metrics = measure(detector, items, scores, by)
        metrics["settings"] = {
            "crops": crops,
            "frames": None if crops else frames,
            "finder": "" if isinstance(detector, ForeignScores) else detector.finder.name,
        }
        write_evaluation(
            out / name if len(detectors) > 1 else out,
            metrics,
            items,
            scores.probabilities,
            scores.faults,
        )
        metrics_of[name] = metrics
        scores_of[name] = scores
    pairs = compare(items, scores_of)
    if len(detectors) > 1:
        write_comparison(
            out,
            metrics_of,
            pairs,
            items,
            {name: scores.probabilities for name, scores in scores_of.items()},
        )
    return Evaluation(metrics_of, pairs)


def measure(
    detector: Detector | ForeignScores,
    items: Sequence[Item],
    scores: Scores,
    by: Sequence[str] = (),
) -> dict[str, Any]:
    """metrics.json: the figures overall and by data set, and which bundle.

    Row by row; also by video where videos have several rows, and by face where files were scanned.
    """
    if isinstance(detector, ForeignScores):
        model, threshold, real_threshold = detector.id, THRESHOLD, THRESHOLD
    else:
        limits = detector.bundle.card.thresholds
        model, threshold, real_threshold = detector.bundle.id, limits.fake, limits.real
    labels = np.array([item.label for item in items])
    sets = np.array([item.dataset for item in items])
    groups = np.array([f"{item.dataset} {item.group}" for item in items])

    def figures(rows: Array, y: Array, p: Array) -> dict[str, Any]:
        """rows (n,): the item that each of the n figures belongs to."""
        mine = {name: np.flatnonzero(sets[rows] == name) for name in sorted(set(sets[rows]))}

        def of(some: Array) -> dict[str, Any]:
            return summarise(
                y[some],
                p[some],
                groups[rows][some],
                fake_threshold=threshold,
                real_threshold=real_threshold,
            )

        return {
            "overall": of(np.arange(len(rows))),
            "datasets": {name: of(own) for name, own in mine.items()},
        }

    result: dict[str, Any] = {
        "schema": "unmask.metrics/1",
        "model": {
            "name": model.name,
            "version": model.version,
            "sha256": model.sha256,
        },
        "fake_threshold": threshold,
        "real_threshold": real_threshold,
        **figures(np.arange(len(items)), labels, scores.probabilities),
    }
    if len(set(sets.tolist())) > 2:
        figures_by_source = by_source(
            items,
            scores.probabilities,
            real_threshold=real_threshold,
            fake_threshold=threshold,
        )
        result["sources"] = [one.row() for one in figures_by_source]
        result["sources_summary"] = summary(figures_by_source)
    methods = by_method(
        items,
        scores.probabilities,
        real_threshold=real_threshold,
        fake_threshold=threshold,
    )
    if len(methods) > 1:
        result["methods"] = methods
    if by:
        result["by_column"] = {
            column: by_column(
                items,
                scores.probabilities,
                column,
                real_threshold=real_threshold,
                fake_threshold=threshold,
            )
            for column in by
        }
    if scores.verdicts:
        result["verdicts"] = count_verdicts(items, scores.verdicts)
    videos = np.array([f"{item.dataset} {item.name}" for item in items])
    if len(set(videos)) < len(items):
        result["by_video"] = figures(*by_video(labels, scores.probabilities, videos))
    if scores.faces:
        rows, probabilities = (np.array(column) for column in zip(*scores.faces, strict=True))
        result["by_face"] = figures(rows, labels[rows], probabilities)
    return result


def count_verdicts(
    items: Sequence[Item], verdicts: Sequence[str]
) -> dict[str, dict[str, dict[str, int]]]:
    """How often real and fake files got each verdict: data set (and overall) → class → verdict."""
    counts: dict[str, dict[str, Counter[str]]] = {}
    for item, verdict in zip(items, verdicts, strict=True):
        for name in (item.dataset, "overall"):
            of_set = counts.setdefault(name, {"real": Counter(), "fake": Counter()})
            of_set["fake" if item.label else "real"][verdict] += 1
    return {
        name: {word: dict(counter) for word, counter in of_set.items()}
        for name, of_set in sorted(counts.items())
    }


def compare(items: Sequence[Item], said: Mapping[str, Scores]) -> list[dict[str, Any]]:
    """DeLong's test of each pair of detectors, on the rows that both judged."""
    labels = np.array([item.label for item in items])
    rows = []
    for (first, a), (second, b) in combinations(said.items(), 2):
        both = ~np.isnan(a.probabilities) & ~np.isnan(b.probabilities)
        row: dict[str, Any] = {"first": first, "second": second, "n": int(both.sum())}
        if len(set(labels[both].tolist())) == 2:
            row |= delong(labels[both], a.probabilities[both], b.probabilities[both])
        rows.append(row)
    return rows


def score_items(
    detector: Detector,
    items: Sequence[Item],
    *,
    crops: bool,
    frames: int | None = None,
    jobs: int | None = None,
    advance: Callable[[], Any] = lambda: None,
) -> Scores:
    """What the detector says of each item, as a face crop or as a file."""
    scores, faults = np.full(len(items), np.nan), [""] * len(items)
    if crops:
        broken: dict[int, str] = {}
        images = (_decoded(item, place, broken) for place, item in enumerate(items))
        for place, score in enumerate(detector.score_crops(images, jobs=jobs)):
            scores[place] = score
            advance()
        for place, why in broken.items():
            scores[place], faults[place] = np.nan, why
        return Scores(scores, faults)
    faces: list[tuple[int, float]] = []
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="unmask-") as folder:
        results = detector.scan_many(
            _paths(items, Path(folder)), frames=frames, stability=False, jobs=jobs
        )
        for place, result in enumerate(results):
            probability, faults[place] = _outcome(result)
            scores[place] = np.nan if probability is None else probability
            verdicts.append(result.verdict.label.value if isinstance(result, Report) else "failed")
            if isinstance(result, Report):
                judged = (
                    score.probability_fake for person in result.people for score in person.scores
                )
                faces += [(place, value) for value in judged if value is not None]
            if items[place].data is not None:
                Path(result.path if isinstance(result, Failure) else result.media.path).unlink(
                    missing_ok=True
                )
            advance()
    return Scores(scores, faults, faces, verdicts)


def _decoded(item: Item, place: int, broken: dict[int, str]) -> Any:
    try:
        return item.decode()
    except ManifestError as error:
        broken[place] = str(error)
        return np.zeros((64, 64, 3), np.uint8)  # scored to keep the order, and thrown away


def _paths(items: Sequence[Item], folder: Path) -> Iterator[Path]:
    for number, item in enumerate(items):
        if item.path is not None:
            yield item.path
        else:
            path = folder / f"{number}{Path(item.name).suffix or '.img'}"
            path.write_bytes(item.data or b"")
            yield path


def _outcome(result: Report | Failure) -> tuple[float | None, str]:
    if isinstance(result, Failure):
        return None, f"{result.kind}: {result.message}"
    if result.verdict.probability_fake is None:
        return None, ", ".join(result.verdict.reasons)
    return result.verdict.probability_fake, ""
