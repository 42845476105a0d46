"""A data set on disk → a list of labelled items.

A manifest is a Parquet file (the layout of hub data sets: an `image` column of {bytes, path}), a CSV file, or a folder
with `real/` and `fake/`. Labels are words; numbers are refused, since the field uses 1 for fake and for real alike.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from unmask.errors import ManifestError
from unmask.types import Image

LABELS = {"real": 0, "fake": 1}


@dataclass(frozen=True, slots=True)
class Item:
    """One labelled picture or video. label: 1 fake, 0 real. group: what must not be parted by a split (the original
    video of a swap). Either `data` (encoded bytes) or `path` (a file) holds the media."""

    name: str
    label: int
    dataset: str
    split: str
    group: str
    method: str = ""
    data: bytes | None = None
    path: Path | None = None

    def decode(self) -> Image:
        """The picture: (h, w, 3) uint8 RGB. Raises ManifestError where it cannot be decoded."""
        try:
            with PillowImage.open(io.BytesIO(self.data) if self.data is not None else self.path or "") as picture:
                return np.asarray(picture.convert("RGB"))
        except (OSError, ValueError) as error:
            raise ManifestError(f"{self.name} of {self.dataset} cannot be decoded: {error}") from error


def read_manifests(paths: Iterable[Path]) -> list[Item]:
    """The items of all manifests, in order. Raises ManifestError."""
    items = [item for path in paths for item in read_manifest(path)]
    if not items:
        raise ManifestError("the manifests hold no items")
    return items


def read_manifest(path: Path) -> list[Item]:
    """The items of one manifest: a .parquet file, a .csv file, or a folder with real/ and fake/."""
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise ManifestError(
            f"there is no manifest at {path}; give a .parquet or .csv file, or a folder with real/ and fake/"
        )
    if path.suffix == ".parquet":
        return _read_parquet(path)
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return _items(list(csv.DictReader(file)), path)
    raise ManifestError(f"{path} is no manifest: expected .parquet, .csv, or a folder with real/ and fake/")


def select(items: Sequence[Item], split: str) -> list[Item]:
    """The items of one split. Raises ManifestError where it is empty, naming the splits there are."""
    chosen = [item for item in items if item.split == split]
    if not chosen:
        raise ManifestError(f"no item is in split {split!r}; the splits are {dict(Counter(i.split for i in items))}")
    return chosen


def require_both_classes(items: Sequence[Item], what: str) -> None:
    """Raise ManifestError unless `items` has real and fake."""
    counts = Counter(item.label for item in items)
    if len(counts) < 2:
        raise ManifestError(f"{what} needs real and fake items, but has {counts[0]} real and {counts[1]} fake")


def _read_parquet(path: Path) -> list[Item]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ManifestError(f"{path} cannot be read as Parquet: {error}") from error
    return _items(table.to_pylist(), path)


def _read_folder(path: Path) -> list[Item]:
    rows = [
        {"path": str(file.relative_to(path)), "label": label}
        for label in LABELS
        for file in sorted((path / label).rglob("*"))
        if file.is_file() and not file.name.startswith(".")
    ]
    if not rows:
        raise ManifestError(f"{path} has no files under real/ or fake/")
    return _items(rows, path)


def _items(rows: Sequence[dict[str, Any]], path: Path) -> list[Item]:
    base = path if path.is_dir() else path.parent
    items = []
    for number, row in enumerate(rows):
        label = str(row.get("label", "")).strip().lower()
        if label not in LABELS:
            raise ManifestError(
                f"{path}, row {number}: label must be 'real' or 'fake', but is {row.get('label')!r}"
                " (numbers are refused: 1 means fake in some sets and real in others)"
            )
        image = row.get("image") or {}
        file = row.get("path") or row.get("file")
        if image.get("bytes") is None and not file:
            raise ManifestError(f"{path}, row {number}: neither image bytes nor a path")
        name = str(row.get("source") or image.get("path") or file)
        items.append(
            Item(
                name=name,
                label=LABELS[label],
                dataset=str(row.get("dataset") or path.stem),
                split=str(row.get("split") or "test"),
                group=str(row.get("group") or name),
                method=str(row.get("method") or ""),
                data=image.get("bytes"),
                path=base / file if file and image.get("bytes") is None else None,
            )
        )
    return items
