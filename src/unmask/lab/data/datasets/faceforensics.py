"""FaceForensics++ (Rössler et al., ICCV 2019), with FaceShifter and DeepFakeDetection.

A manipulated `033_097` is the video 033 with the face (or expression) of 097. The official splits
are lists of such pairs; both ways of a pair, in every method, are one group. The same video at
several compressions is one group too.
"""

from __future__ import annotations

import json
import re
from itertools import product
from pathlib import Path

from unmask.errors import ManifestError
from unmask.lab.data.datasets.base import (
    UNSPLIT,
    VIDEOS,
    DataSet,
    NotThere,
    Reading,
    files_under,
    subfolders,
)
from unmask.lab.data.manifest import Item

SPLITS = {"train": "train", "val": "validation", "test": "test"}
COMPRESSIONS = ("c0", "raw", "c23", "c40")


def _read(root: Path) -> Reading:
    originals, manipulated = root / "original_sequences", root / "manipulated_sequences"
    if not originals.is_dir() and not manipulated.is_dir():
        raise NotThere(originals, manipulated)
    lists = {split: _find_list(root, name) for name, split in SPLITS.items()}
    if not all(lists.values()):
        raise NotThere(*(root / "splits" / f"{name}.json" for name in SPLITS))
    split_of: dict[str, str] = {}
    pair_of: dict[str, str] = {}
    for split, path in lists.items():
        for a, b in _pairs(path):  # type: ignore[arg-type]
            for one in (a, b):
                split_of[one], pair_of[one] = split, "_".join(sorted((a, b)))
    items, expected = [], set()
    for base, fake in ((originals, 0), (manipulated, 1)):
        for kind, compression in product(subfolders(base), COMPRESSIONS):
            folder = kind / compression / "videos"
            if not folder.is_dir():
                continue
            for path in files_under(folder, VIDEOS):
                items.append(_item(root, path, kind.name if fake else "", fake, split_of, pair_of))
            if fake == 0 and kind.name == "youtube":
                expected |= {
                    (folder / f"{one}.mp4").relative_to(root).as_posix() for one in split_of
                }
            elif fake and kind.name != "DeepFakeDetection":
                names = {
                    f"{a}_{b}.mp4"
                    for pair in pair_of.values()
                    for a, b in (pair.split("_"), pair.split("_")[::-1])
                }
                expected |= {(folder / name).relative_to(root).as_posix() for name in names}
    return Reading(items, sorted(expected - {item.name for item in items}))


def _find_list(root: Path, name: str) -> Path | None:
    return next(
        (
            path
            for path in (root / "splits" / f"{name}.json", root / f"{name}.json")
            if path.is_file()
        ),
        None,
    )


def _pairs(path: Path) -> list[tuple[str, str]]:
    try:
        return [(str(a), str(b)) for a, b in json.loads(path.read_text())]
    except (ValueError, TypeError) as error:
        raise ManifestError(f'{path} must hold pairs like [["071", "054"], …]: {error}') from error


def _item(
    root: Path,
    path: Path,
    method: str,
    fake: int,
    split_of: dict[str, str],
    pair_of: dict[str, str],
) -> Item:
    stem = path.stem
    ids = re.fullmatch(r"(\d{3})(?:_(\d{3}))?", stem)
    actors = re.match(r"(\d{2})(?:_(\d{2}))?__(.+?)(?:__\w{8})?$", stem)
    identities: tuple[str, ...] = ()
    if ids:
        split, group = split_of.get(ids[1], UNSPLIT), pair_of.get(ids[1], ids[1])
    elif actors:  # DeepFakeDetection: 01_02__walking__ABCDEFGH is 01's scene with the face of 02
        split, group = UNSPLIT, f"actors/{actors[1]}__{actors[3]}"
        identities = tuple(f"actor {one}" for one in actors.group(1, 2) if one)
    else:
        split, group = UNSPLIT, stem
    name = path.relative_to(root).as_posix()
    return Item(name, fake, "faceforensics", split, group, method, path=path, identities=identities)


DATA_SET = DataSet(
    title="FaceForensics++",
    tree="""
  ROOT/original_sequences/youtube/{c0,c23,c40}/videos/000.mp4               (also actors/)
  ROOT/manipulated_sequences/METHOD/{c0,c23,c40}/videos/000_003.mp4  Deepfakes, FaceSwap, …
  ROOT/splits/{train,val,test}.json                                the official lists of pairs
""".strip("\n"),
    source="github.com/ondyari/FaceForensics, by a form; its dataset/splits holds the lists",
    terms="FaceForensics terms of use: research only",
    read=_read,
)
