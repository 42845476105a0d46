"""Celeb-DF v1 and v2 (Li et al., CVPR 2020).

A fake `id0_id1_0002` is the video `id0_0002` with the face of id1. In List_of_testing_videos.txt, 1
means real.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from unmask.errors import ManifestError
from unmask.lab.data.datasets.base import VIDEOS, DataSet, NotThere, Reading, files_under
from unmask.lab.data.manifest import Item

LIST = "List_of_testing_videos.txt"
FOLDERS = {"Celeb-real": 0, "YouTube-real": 0, "Celeb-synthesis": 1}


def _reader(dataset: str) -> Callable[[Path], Reading]:
    def read(root: Path) -> Reading:
        if not (root / LIST).is_file() or not any((root / folder).is_dir() for folder in FOLDERS):
            raise NotThere(root / LIST, *(root / folder for folder in FOLDERS))
        tested = _testing(root / LIST)
        items = [
            _item(root, folder, path, dataset, tested)
            for folder in FOLDERS
            for path in files_under(root / folder, VIDEOS)
        ]
        there = {item.name for item in items}
        return Reading(items, sorted(set(tested) - there))

    return read


def _testing(path: Path) -> set[str]:
    names = set()
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        mark, _, name = line.strip().partition(" ")
        folder = name.split("/")[0]
        if folder not in FOLDERS or mark not in ("0", "1") or int(mark) == FOLDERS[folder]:
            raise ManifestError(
                f"{path}, line {number}: expected `1 Celeb-real/…` or `0 Celeb-synthesis/…` (1 is"
                f" real), got {line!r}"
            )
        names.add(name)
    return names


def _item(root: Path, folder: str, path: Path, dataset: str, tested: set[str]) -> Item:
    name = path.relative_to(root).as_posix()
    swap = re.fullmatch(r"(id\d+)_(id\d+)_(\d+)", path.stem)
    own = re.fullmatch(r"(id\d+)_(\d+)", path.stem)
    identities: tuple[str, ...]
    if swap:
        group, identities = f"{swap[1]}_{swap[3]}", (swap[1], swap[2])
    elif own:
        group, identities = path.stem, (own[1],)
    else:
        group, identities = f"{folder}/{path.stem}", ()
    return Item(
        name=name,
        label=FOLDERS[folder],
        dataset=dataset,
        split="test" if name in tested else "train",
        group=group,
        method="face-swap" if FOLDERS[folder] else "",
        path=path,
        identities=identities,
    )


_TREE = f"""
  ROOT/Celeb-real/id0_0000.mp4
  ROOT/Celeb-synthesis/id0_id1_0000.mp4
  ROOT/YouTube-real/00000.mp4
  ROOT/{LIST}
""".strip("\n")
_SOURCE = "github.com/yuezunli/celeb-deepfakeforensics, by a form"
_TERMS = "research only; not to be passed on"

V1 = DataSet("Celeb-DF v1", _TREE, _SOURCE, _TERMS, _reader("celeb_df_v1"))
V2 = DataSet("Celeb-DF v2", _TREE, _SOURCE, _TERMS, _reader("celeb_df_v2"))
