"""A data set on disk → a list of labelled items.

A manifest is a Parquet file (the layout of hub data sets: an `image` column of {bytes, path}), a
folder of such files (as `data prepare` writes), a CSV file, or a folder with `real/` and `fake/`.
Labels are words; numbers are refused, since the field uses 1 for fake and for real alike.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from unmask._internal.atomic import atomic_path
from unmask.errors import ManifestError
from unmask.types import Image

LABELS = {"real": 0, "fake": 1}
FACT = "media_"
"""Columns that begin so are facts of the file that a crop was cut from."""

READ = frozenset(
    [
        "label",
        "method",
        "dataset",
        "split",
        "source",
        "group",
        "identities",
        "image",
        "landmarks",
        "path",
        "file",
    ]
)
"""Columns that are read into fields of their own."""


@dataclass(frozen=True, slots=True)
class Item:
    """One labelled picture or video.

    - label: 1 fake, 0 real
    - group: what must not be parted by a split (the original video of a swap)
    - identities: who is in it, where the set says so. Either `data` (encoded bytes) or `path` (a
      file) holds the media
    - landmarks: the ten numbers of the face's five, in pixels of the picture, where they are known
    - facts: of the file that a crop was cut from (`data prepare`)
    - columns: what else the manifest has of it
    """

    name: str
    label: int
    dataset: str
    split: str
    group: str
    method: str = ""
    data: bytes | None = None
    path: Path | None = None
    identities: tuple[str, ...] = ()
    landmarks: tuple[float, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict, hash=False)
    columns: dict[str, str] = field(default_factory=dict, hash=False)

    def decode(self) -> Image:
        """The picture: (h, w, 3) uint8 RGB. Raises ManifestError where it cannot be decoded."""
        try:
            with PillowImage.open(
                io.BytesIO(self.data) if self.data is not None else self.path or ""
            ) as picture:
                return np.asarray(picture.convert("RGB"))
        except (OSError, ValueError) as error:
            raise ManifestError(
                f"{self.name} of {self.dataset} cannot be decoded: {error}"
            ) from error


def read_manifests(paths: Iterable[Path], *, files_there: bool = True) -> list[Item]:
    """The items of all manifests, in order.

    - files_there: each named file must exist

    Raises ManifestError for what is empty, missing or there twice.
    """
    items = [item for path in paths for item in read_manifest(path)]
    if not items:
        raise ManifestError("the manifests hold no items")
    if files_there:
        _require_files(items)
    _require_once(items)
    return items


def read_manifest(path: Path) -> list[Item]:
    """The items of one manifest.

    - path: a .parquet file or a folder of them, a .csv file, or a folder with real/ and fake/
    """
    if path.is_dir():
        shards = sorted(path.glob("*.parquet"))
        return (
            [item for shard in shards for item in _read_parquet(shard)]
            if shards
            else _read_folder(path)
        )
    if not path.is_file():
        raise ManifestError(
            f"there is no manifest at {path}; give a .parquet or .csv file, or a folder with real/"
            " and fake/"
        )
    if path.suffix == ".parquet":
        return _read_parquet(path)
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return _items(list(csv.DictReader(file)), path)
    raise ManifestError(
        f"{path} is no manifest: expected .parquet, .csv, or a folder with real/ and fake/"
    )


def write_manifest(items: Sequence[Item], path: Path) -> None:
    """Write a .parquet or .csv manifest; paths of files are written relative to it.

    Raises OutputError.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    base = path.parent.absolute()
    rows: list[dict[str, Any]] = []
    for item in items:
        row: dict[str, Any] = {
            "label": "fake" if item.label else "real",
            "method": item.method,
            "dataset": item.dataset,
            "split": item.split,
            "source": item.name,
            "group": item.group,
            "identities": ";".join(item.identities),
        }
        if item.data is not None:
            row["image"] = {"bytes": item.data, "path": Path(item.name).name}
            row["landmarks"] = list(item.landmarks)
        else:
            row["path"] = os.path.relpath((item.path or Path()).absolute(), base)
        rows.append(row | item.facts | item.columns)
    with atomic_path(path, make_folder=True) as partial:
        if path.suffix != ".csv":
            # Arrow takes its columns from the first row alone
            columns = list(dict.fromkeys(key for row in rows for key in row))
            whole = [{key: row.get(key) for key in columns} for row in rows]
            pq.write_table(pa.Table.from_pylist(whole), partial)
            return
        if any("image" in row for row in rows):
            raise ManifestError(
                "pictures in memory cannot be written as .csv; name a .parquet file"
            )
        columns = list(dict.fromkeys(key for row in rows for key in row))
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)


def _require_files(items: Sequence[Item]) -> None:
    missing = [item for item in items if item.path is not None and not item.path.exists()]
    if missing:
        shown = ", ".join(str(item.path) for item in missing[:3]) + (
            " …" if len(missing) > 3 else ""
        )
        raise ManifestError(
            f"{len(missing)} of {len(items)} files named by the manifest are missing: {shown}"
        )


def _require_once(items: Sequence[Item]) -> None:
    """Refuse the same file twice with different labels.

    The same bytes under two names and one label pass: published sets have such; across splits the
    leak check finds them.

    Two frames of one video may be the same, too; their facts tell them apart.
    """
    seen: dict[Any, Item] = {}
    for item in items:
        first = seen.setdefault(item.data if item.data is not None else item.path, item)
        if first is item:
            continue
        if first.label != item.label:
            clash = "once as real and once as fake"
        elif (first.name, first.dataset, first.facts) == (item.name, item.dataset, item.facts):
            clash = "with the same label"
        else:
            continue
        raise ManifestError(
            f"{item.name} of {item.dataset} is there twice, {clash} (first as {first.name} of"
            f" {first.dataset}); keep one of the two rows"
        )


def select(items: Sequence[Item], split: str, leave_out: Collection[str] = ()) -> list[Item]:
    """The items of one split, without those of the data sets in `leave_out`.

    Raises ManifestError where it is empty, naming the splits there are.
    """
    chosen = [item for item in items if item.split == split and item.dataset not in leave_out]
    if not chosen:
        there = dict(Counter(item.split for item in items))
        raise ManifestError(
            f"no item is in split {split!r}; the splits are {there}. `unmask data split` makes"
            " others"
        )
    return chosen


def require_both_classes(items: Sequence[Item], what: str) -> None:
    """Raise ManifestError unless `items` has real and fake."""
    counts = Counter(item.label for item in items)
    if len(counts) < 2:
        raise ManifestError(
            f"{what} needs real and fake items, but has {counts[0]} real and {counts[1]} fake"
        )


def _read_parquet(path: Path) -> list[Item]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ManifestError(f"{path} cannot be read as Parquet: {error}") from error
    rows = table.to_pylist()
    names = _class_names(table.schema.metadata or {})
    for row in rows:
        if isinstance(row.get("label"), int) and 0 <= row["label"] < len(names):
            row["label"] = names[row["label"]]
    return _items(rows, path)


def _class_names(metadata: Mapping[bytes, bytes]) -> list[str]:
    """The words behind numeric labels, where a hub data set's metadata has them; else none."""
    try:
        return list(json.loads(metadata[b"huggingface"])["info"]["features"]["label"]["names"])
    except (KeyError, ValueError, TypeError):
        return []


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
                f"{path}, row {number}: label must be 'real' or 'fake', but is"
                f" {row.get('label')!r} (numbers are refused: 1 means fake in some sets and real"
                " in others)"
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
                identities=tuple(
                    part for part in str(row.get("identities") or "").split(";") if part
                ),
                landmarks=tuple(row.get("landmarks") or ()),
                facts={
                    key: value
                    for key, value in row.items()
                    if key.startswith(FACT) and value is not None
                },
                columns={
                    key: str(value)
                    for key, value in row.items()
                    if key not in READ
                    and not key.startswith(FACT)
                    and isinstance(value, str | int | float | bool)
                    and value != ""
                },
            )
        )
    return items
