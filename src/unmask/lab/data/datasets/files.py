"""Your own files: a folder with real/ and fake/, Parquet shards, or one .csv or .parquet."""

from __future__ import annotations

from pathlib import Path

from unmask.errors import ManifestError
from unmask.lab.data.datasets.base import DataSet, NotThere, Reading
from unmask.lab.data.manifest import LABELS, read_manifest


def _read(root: Path) -> Reading:
    tables = sorted(root.glob("*.csv"))
    if (
        not tables
        and not list(root.glob("*.parquet"))
        and not any((root / label).is_dir() for label in LABELS)
    ):
        raise NotThere(root / "real", root / "fake", root / "*.parquet", root / "*.csv")
    if len(tables) > 1:
        raise ManifestError(
            f"{root} holds {len(tables)} .csv files; name the right one to the command itself"
        )
    items = read_manifest(tables[0] if tables else root)
    there = [item.path is None or item.path.is_file() for item in items]
    pairs = list(zip(items, there, strict=True))
    return Reading(
        [item for item, is_there in pairs if is_there],
        [item.name for item, is_there in pairs if not is_there],
    )


DATA_SET = DataSet(
    title="Own files",
    tree="""
  ROOT/{real,fake}/**                     pictures or videos
  ROOT/*.parquet                columns image {bytes, path}, label; if there source, group, …
  ROOT/NAME.csv                           columns path, label; if there the same
""".strip("\n"),
    source="your own disk",
    terms="yours",
    read=_read,
)
