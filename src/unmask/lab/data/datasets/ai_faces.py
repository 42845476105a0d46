"""Photographs beside AI-generated faces, as published on Kaggle and the hub.

Folders by class, perhaps by split.
"""

from __future__ import annotations

from pathlib import Path

from unmask.lab.data.datasets.base import (
    PICTURES,
    UNSPLIT,
    DataSet,
    NotThere,
    Reading,
    files_under,
    subfolders,
)
from unmask.lab.data.manifest import Item

SPLITS = {
    "train": "train",
    "training": "train",
    "valid": "validation",
    "val": "validation",
    "validate": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
CLASSES = {
    "real": 0,
    "real images": 0,
    "fake": 1,
    "ai": 1,
    "ai-generated images": 1,
    "ai_generated": 1,
    "ai-generated": 1,
}


def _read(root: Path) -> Reading:
    splits = {
        folder: SPLITS[folder.name.lower()]
        for folder in subfolders(root)
        if folder.name.lower() in SPLITS
    }
    items = []
    for folder, split in (splits or {root: UNSPLIT}).items():
        classes = {
            place: CLASSES[place.name.lower()]
            for place in subfolders(folder)
            if place.name.lower() in CLASSES
        }
        if set(classes.values()) != {0, 1}:
            raise NotThere(
                folder / "real",
                folder / "fake",
                folder / "Real Images",
                folder / "AI-Generated Images",
            )
        for place, label in classes.items():
            for path in files_under(place, PICTURES):
                name = path.relative_to(root).as_posix()
                items.append(
                    Item(
                        name,
                        label,
                        "ai_faces",
                        split,
                        name,
                        "generated" if label else "",
                        path=path,
                    )
                )
    return Reading(items)


DATA_SET = DataSet(
    title="Real and AI-generated faces",
    tree="""
  ROOT/{train,valid,test}/{real,fake}/*.jpg           or without splits
  ROOT/{Real Images,AI-Generated Images}/*.jpg        as the Human Faces Dataset has it
""".strip("\n"),
    source="e.g. real-vs-ai-generated-faces or human-faces-dataset on Kaggle",
    terms="each set its own; look before use",
    read=_read,
)
