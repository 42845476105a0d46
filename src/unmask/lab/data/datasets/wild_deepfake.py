"""WildDeepfake (Zi et al., ACM MM 2020): face sequences from the Internet, as PNG frames.

The number under each split folder is a source video, the number under its class a sequence of
frames.
"""

from __future__ import annotations

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

FOLDERS = {
    "real_train": (0, "train"),
    "fake_train": (1, "train"),
    "real_test": (0, "test"),
    "fake_test": (1, "test"),
}


def _read(root: Path) -> Reading:
    base = root / "deepfake_in_the_wild" if (root / "deepfake_in_the_wild").is_dir() else root
    if not any((base / folder).is_dir() for folder in FOLDERS):
        raise NotThere(*(base / folder for folder in FOLDERS))
    items, missing = [], []
    for folder, (label, split) in FOLDERS.items():
        unpacked = {video.name for video in subfolders(base / folder)}
        packed = sorted(base.joinpath(folder).glob("*.tar.gz"))
        missing += [
            f"{folder}/{path.name} (not unpacked)"
            for path in packed
            if path.name.split(".")[0] not in unpacked
        ]
        for video in subfolders(base / folder):
            for path in files_under(video, PICTURES):
                sequence = path.parent.relative_to(base).as_posix()
                method = "found in the wild" if label else ""
                items.append(
                    Item(
                        sequence,
                        label,
                        "wild_deepfake",
                        split,
                        f"{folder}/{video.name}",
                        method,
                        path=path,
                    )
                )
    return Reading(items, missing)


DATA_SET = DataSet(
    title="WildDeepfake",
    tree="""
  ROOT/deepfake_in_the_wild/{real,fake}_{train,test}/VIDEO/{real,fake}/SEQUENCE/FRAME.png
""".strip("\n"),
    source="github.com/OpenTAI/wild-deepfake (the hub: xingjunm/WildDeepfake), by request",
    terms="research only",
    read=_read,
)
