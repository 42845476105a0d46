"""Measure a detector on labelled items, through the same path as a scan."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unmask.detector import DEFAULT_FRAMES, Detector
from unmask.errors import ManifestError, OutputError
from unmask.lab.manifest import Item
from unmask.lab.metrics import Array, summarise
from unmask.types import Failure, Report


def evaluate_detector(
    detector: Detector,
    items: Sequence[Item],
    out: Path,
    *,
    crops: bool = False,
    frames: int = DEFAULT_FRAMES,
    jobs: int | None = None,
    advance: Callable[[], Any] = lambda: None,
) -> dict[str, Any]:
    """Score `items`, write metrics.json, scores.parquet and plots into `out`, and return the metrics.

    crops: the items are face crops already, and each is judged. Otherwise each is scanned like any file, and those
    without a verdict on a face count in coverage. advance: called once an item is done.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from unmask.lab.plots import plot_reliability, plot_roc

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {out}: {error.strerror}") from error
    scores, faults = score_items(detector, items, crops=crops, frames=frames, jobs=jobs, advance=advance)
    metrics = measure(detector, items, scores)
    metrics["settings"] = {"crops": crops, "frames": None if crops else frames, "finder": detector.finder.name}
    table = pa.table(
        {
            "name": [item.name for item in items],
            "dataset": [item.dataset for item in items],
            "split": [item.split for item in items],
            "group": [item.group for item in items],
            "method": [item.method for item in items],
            "label": ["fake" if item.label else "real" for item in items],
            "probability_fake": pa.array(scores, from_pandas=True),
            "fault": faults,
        }
    )
    try:
        pq.write_table(table, out / "scores.parquet")
        (out / "metrics.json").write_text(json.dumps(metrics, indent=2, allow_nan=False))
        curves = {name: (y, p) for name, y, p in _sets(items, scores) if len(set(y.tolist())) == 2}
        plot_roc(curves, out / "roc.png")
        plot_reliability(curves, out / "reliability.png")
    except OSError as error:
        raise OutputError(f"cannot write into {out}: {error.strerror or error}") from error
    return metrics


def measure(detector: Detector, items: Sequence[Item], scores: Array) -> dict[str, Any]:
    """metrics.json: overall, by data set, and which bundle."""
    threshold = detector.bundle.card.thresholds.fake
    labels, groups = np.array([i.label for i in items]), np.array([i.group for i in items])
    return {
        "schema": "unmask.metrics/1",
        "model": {
            "name": detector.bundle.id.name,
            "version": detector.bundle.id.version,
            "sha256": detector.bundle.id.sha256,
        },
        "fake_threshold": threshold,
        "overall": summarise(labels, scores, groups, fake_threshold=threshold),
        "datasets": {
            name: summarise(labels[rows], scores[rows], groups[rows], fake_threshold=threshold)
            for name, rows in _rows_by_dataset(items).items()
        },
    }


def score_items(
    detector: Detector,
    items: Sequence[Item],
    *,
    crops: bool,
    frames: int = DEFAULT_FRAMES,
    jobs: int | None = None,
    advance: Callable[[], Any] = lambda: None,
) -> tuple[Array, list[str]]:
    """Probabilities of fake (n,), NaN where nothing was judged, and why, as words (empty where all is well)."""
    scores, faults = np.full(len(items), np.nan), [""] * len(items)
    if crops:
        broken: dict[int, str] = {}
        images = (_decoded(item, place, broken) for place, item in enumerate(items))
        for place, score in enumerate(detector.score_crops(images, jobs=jobs)):
            scores[place] = score
            advance()
        for place, why in broken.items():
            scores[place], faults[place] = np.nan, why
        return scores, faults
    with tempfile.TemporaryDirectory(prefix="unmask-") as folder:
        results = detector.scan_many(_paths(items, Path(folder)), frames=frames, jobs=jobs)
        for place, result in enumerate(results):
            probability, faults[place] = _outcome(result)
            scores[place] = np.nan if probability is None else probability
            if items[place].data is not None:
                Path(result.path if isinstance(result, Failure) else result.media.path).unlink(missing_ok=True)
            advance()
    return scores, faults


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


def _rows_by_dataset(items: Sequence[Item]) -> dict[str, Array]:
    names = sorted({item.dataset for item in items})
    return {name: np.array([i for i, item in enumerate(items) if item.dataset == name]) for name in names}


def _sets(items: Sequence[Item], scores: Array) -> Iterator[tuple[str, Array, Array]]:
    """(name, labels, probabilities) of each data set, judged rows only."""
    for name, rows in _rows_by_dataset(items).items():
        judged = rows[~np.isnan(scores[rows])]
        yield name, np.array([items[i].label for i in judged], int), scores[judged]
