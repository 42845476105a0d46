"""Labelled pictures → the face in each, found by the same finder and the same code as in a scan."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context

import cv2

from unmask.errors import ManifestError
from unmask.faces import FaceFinder, find_main_face, load_finder
from unmask.lab.manifest import Item
from unmask.types import Floats


@dataclass(frozen=True, slots=True)
class Sample:
    """An item and the landmarks of its main face, (5, 2) float32 in pixels of the picture."""

    item: Item
    landmarks: Floats


def find_samples(items: Sequence[Item], finder: str = "yunet", jobs: int = 2) -> tuple[list[Sample], list[Item]]:
    """The samples, in order, and the items in which no face was found or that could not be decoded."""
    # spawned, not forked: a fork of a process whose OpenCV has threads hangs in the child
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(_landmarks, items, repeat(finder), chunksize=64))
    samples = [Sample(item, marks) for item, marks in zip(items, found, strict=True) if marks is not None]
    missed = [item for item, marks in zip(items, found, strict=True) if marks is None]
    return samples, missed


_finders: dict[str, FaceFinder] = {}


def _landmarks(item: Item, finder: str) -> Floats | None:
    if finder not in _finders:
        cv2.setNumThreads(1)  # in a worker process of ours: one core each
        _finders[finder] = load_finder(finder)
    try:
        face = find_main_face(_finders[finder], item.decode())
    except ManifestError:
        return None
    return None if face is None else face.landmarks
