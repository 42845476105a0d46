"""DF40 (Yan et al., NeurIPS 2024): forty methods on FaceForensics++ and Celeb-DF, as frames.

It holds fakes; its reals are those two sets, to be read by their own readers. Methods that bring
their own reals have them in a folder `real`.
"""

from __future__ import annotations

import re
from pathlib import Path

from unmask.lab.data.datasets.base import (
    PICTURES,
    DataSet,
    NotThere,
    Reading,
    files_under,
    subfolders,
)
from unmask.lab.data.manifest import Item

DOMAINS = ("ff", "cdf")


def _read(root: Path) -> Reading:
    bases = [folder for folder in (root / "DF40_train", root / "DF40") if folder.is_dir()] or [root]
    items = []
    for base in bases:
        split = "train" if base.name.lower().endswith("train") else "test"
        for method in subfolders(base):
            items += [_item(base, method, path, split) for path in files_under(method, PICTURES)]
    if not items:
        raise NotThere(
            root / "DF40" / "METHOD" / "ff",
            root / "DF40_train" / "METHOD" / "frames",
            root / "METHOD" / "ff",
        )
    return Reading(items)


def _item(base: Path, method: Path, path: Path, split: str) -> Item:
    parts = path.relative_to(method).parts[:-1]
    label = 0 if "real" in (part.lower() for part in parts) else 1
    domain = next((part for part in parts if part in DOMAINS), "ff" if split == "train" else "")
    video = path.parent.name
    pair = re.fullmatch(r"(\d{3})_(\d{3})", video)
    swap = re.fullmatch(r"(id\d+)_(id\d+)_(\d+)", video)
    identities: tuple[str, ...] = ()
    if pair and domain == "ff":
        group = "ff/" + "_".join(sorted(pair.groups()))
    elif swap:
        group, identities = f"cdf/{swap[1]}_{swap[3]}", (swap[1], swap[2])
    else:
        group = "/".join((domain or method.name, video))
    name = path.parent.relative_to(base).as_posix()
    return Item(
        name,
        label,
        "df40",
        split,
        group,
        method.name if label else "",
        path=path,
        identities=identities,
    )


DATA_SET = DataSet(
    title="DF40",
    tree="""
  ROOT/DF40/METHOD/{ff,cdf}/frames/VIDEO/FRAME.png         the fakes for testing
  ROOT/DF40_train/METHOD/frames/VIDEO/FRAME.png    for training (made from FaceForensics++)
""".strip("\n"),
    source="github.com/YZY-stack/DF40, by a form",
    terms="CC BY-NC 4.0",
    read=_read,
)
