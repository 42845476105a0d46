"""140k real and fake faces: 70,000 of FFHQ and 70,000 of StyleGAN, 256².

In its tables label 1 means real.
"""

from __future__ import annotations

import csv
from pathlib import Path

from unmask.errors import ManifestError
from unmask.lab.data.datasets.base import PICTURES, DataSet, NotThere, Reading, files_under, there
from unmask.lab.data.manifest import LABELS, Item

SPLITS = {"train": "train", "valid": "validation", "test": "test"}


def _read(root: Path) -> Reading:
    places = [root / "real_vs_fake" / "real-vs-fake", root / "real-vs-fake", root]
    images = next((place for place in places if (place / "train" / "real").is_dir()), None)
    if images is None:
        raise NotThere(*(place / "train" / "real" for place in places))
    listed = []
    for folder, split in SPLITS.items():
        table = next(
            (
                place / f"{folder}.csv"
                for place in (root, images)
                if (place / f"{folder}.csv").is_file()
            ),
            None,
        )
        if table is not None:
            with table.open(newline="") as file:
                names = [
                    _row(row, table, number)
                    for number, row in enumerate(csv.DictReader(file), start=2)
                ]
        else:
            files = [
                path for label in LABELS for path in files_under(images / folder / label, PICTURES)
            ]
            names = [(path.relative_to(images).as_posix(), path.parent.name) for path in files]
        for name, label in names:
            item = Item(
                name,
                LABELS[label],
                "140k",
                split,
                name,
                "stylegan" if label == "fake" else "",
                path=images / name,
            )
            listed.append((images / name, item))
    return there(listed)


def _row(row: dict[str, str], table: Path, number: int) -> tuple[str, str]:
    """Path and label; the three ways in which a row tells its label must agree."""
    name, word = row.get("path") or "", row.get("label_str") or ""
    if (
        word not in LABELS
        or row.get("label") != str(1 - LABELS[word])
        or f"/{word}/" not in f"/{name}"
    ):
        raise ManifestError(
            f"{table}, line {number}: label_str {word!r}, label {row.get('label')!r} (1 is real)"
            f" and path {name!r} disagree"
        )
    return name, word


DATA_SET = DataSet(
    title="140k real and fake faces",
    tree="""
  ROOT/real_vs_fake/real-vs-fake/{train,valid,test}/{real,fake}/*.jpg
  ROOT/{train,valid,test}.csv                        if there: path, label (1 is real), label_str
""".strip("\n"),
    source="the data set 140k-real-and-fake-faces on Kaggle",
    terms="FFHQ: CC BY-NC-SA 4.0; StyleGAN: CC BY-NC 4.0",
    read=_read,
)
