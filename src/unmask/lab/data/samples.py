"""Labelled pictures → the face in each, found by the same finder and the same code as in a scan."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from tqdm import tqdm

from unmask._internal.atomic import atomic_path
from unmask.errors import ManifestError
from unmask.faces import find_main_face
from unmask.faces.registry import shared_finder
from unmask.lab.data.datasets.base import VIDEOS
from unmask.lab.data.manifest import Item
from unmask.lab.data.near_duplicates import PerceptualHash, perceptual_hash
from unmask.types import Floats

T = TypeVar("T")

BROKEN_SHARE = 0.01
"""More broken pictures than this are no accident, and stop."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An item with the main face in its picture.

    - landmarks: (5, 2) float32, in pixels of the picture
    - print: the picture's perceptual hash

    pseudo: to be made into a pseudo-fake.
    """

    item: Item
    landmarks: Floats
    print: PerceptualHash
    pseudo: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in a list of items: samples, items without a face, broken ones and why."""

    samples: list[Sample]
    no_face: list[Item]
    broken: list[tuple[Item, str]]


def find_samples(
    items: Sequence[Item], finder: str = "yunet", jobs: int = 2, cache: Path | None = None
) -> Found:
    """The main face of each item, in order.

    Items that carry landmarks (from `data prepare`) are only decoded.

    - cache: a file (.npz) where what was found is kept and, for the same items and finder, taken
      from

    Raises ManifestError for videos, and where over 1 % of the items cannot be decoded.
    """
    videos = [
        item for item in items if item.path is not None and item.path.suffix.lower() in VIDEOS
    ]
    if videos:
        raise ManifestError(
            f"{len(videos)} of {len(items)} rows are videos ({videos[0].name}, …); `unmask data"
            " prepare` cuts out their faces"
        )
    key = _digest(items, finder)
    results = _load(cache, key)
    if results is None:
        with worker_pool(jobs) as run:
            results = list(
                watched(run(_find_landmarks, items, repeat(finder)), len(items), "finding faces")
            )
        if cache is not None:
            _save(cache, key, results)
    broken = [
        (item, result)
        for item, result in zip(items, results, strict=True)
        if isinstance(result, str)
    ]
    if len(broken) > BROKEN_SHARE * len(items):
        shown = "; ".join(why for _, why in broken[:3])
        raise ManifestError(
            f"{len(broken)} of {len(items)} pictures are broken, more than 1 %: {shown} …"
        )
    pairs = [
        (item, result)
        for item, result in zip(items, results, strict=True)
        if not isinstance(result, str)
    ]
    samples = [
        Sample(item, result[0], result[1]) for item, result in pairs if result[0] is not None
    ]
    return Found(samples, [item for item, result in pairs if result[0] is None], broken)


def watched(work: Iterable[T], total: int, what: str) -> Iterable[T]:
    """The same, with a bar on stderr where that is a terminal."""
    bar: Iterable[T] = tqdm(work, what, total, leave=False, disable=None)
    return bar


@contextmanager
def worker_pool(jobs: int, chunk: int = 32) -> Iterator[Callable[..., Iterator[Any]]]:
    """`map` over spawned processes, `chunk` items at a time; a plain `map` where `jobs` is 1.

    Spawned, not forked: a fork of a process whose OpenCV has threads hangs in the child.
    """
    if jobs == 1:
        before = cv2.getNumThreads()
        yield map
        cv2.setNumThreads(before)
        return
    pool = ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)
    )
    try:
        yield lambda function, *lists: pool.map(function, *lists, chunksize=chunk)
    finally:
        pool.shutdown(cancel_futures=True)


_Landmarks = str | tuple[Floats | None, PerceptualHash]


def _find_landmarks(item: Item, finder: str) -> _Landmarks:
    """What is wrong with the picture; or its landmarks (None without a face) and its print."""
    try:
        image = item.decode()
    except ManifestError as error:
        return str(error)
    if item.landmarks:
        return np.array(item.landmarks, np.float32).reshape(5, 2), perceptual_hash(image)
    face = find_main_face(shared_finder(finder), image)
    return None if face is None else face.landmarks, perceptual_hash(image)


def _digest(items: Sequence[Item], finder: str) -> str:
    digest = hashlib.sha256(finder.encode())
    for item in items:
        digest.update(
            f"\0{item.dataset}\0{item.name}\0{item.path}\0{len(item.data or b'')}".encode(
                errors="replace"
            )
        )
    return digest.hexdigest()


def _save(cache: Path, key: str, results: Sequence[_Landmarks]) -> None:
    marks = np.full((len(results), 5, 2), np.nan, np.float32)
    prints, faults = np.zeros((len(results), 32), np.uint8), [""] * len(results)
    for i, result in enumerate(results):
        if isinstance(result, str):
            faults[i] = result
            continue
        prints[i] = result[1]
        if result[0] is not None:
            marks[i] = result[0]
    with atomic_path(cache) as partial, partial.open("wb") as file:
        np.savez(file, key=np.array(key), landmarks=marks, prints=prints, faults=np.array(faults))


def _load(cache: Path | None, key: str) -> list[_Landmarks] | None:
    if cache is None or not cache.is_file():
        return None
    try:
        with np.load(cache, allow_pickle=False) as kept:
            if str(kept["key"]) != key:
                return None
            rows = zip(kept["landmarks"], kept["prints"], kept["faults"], strict=True)
            return [
                str(fault) if fault else (None if np.isnan(m[0, 0]) else m, p)
                for m, p, fault in rows
            ]
    except (OSError, ValueError, KeyError):
        return None  # made anew
