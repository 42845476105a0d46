"""What a face finder is, and what finders share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from unmask.types import Box, Face, Floats, Frame

MAX_FACES = 50
"""Faces taken from one frame, most confident first: bounds the work on a crowd."""


class FaceFinder(Protocol):
    """Finds the faces in a frame, most confident first; none is an empty list.

    Safe to call from several threads.
    """

    @property
    def name(self) -> str:
        """As given to `--faces`."""

    def find(self, frame: Frame) -> list[Face]:
        """All faces, with boxes in pixels of the frame (they may reach over its border)."""


@runtime_checkable
class TwoStepFinder(Protocol):
    """A finder that looks closer at large frames, for faces too small to be seen at first."""

    def find_large(self, frame: Frame) -> list[Face]:
        """The faces that are seen at first."""

    def find_small(self, frame: Frame, large: Sequence[Face]) -> list[Face]:
        """Those besides `large` that are seen only closer; none in a frame that is not large."""


class PerThread:
    """One object per thread: the libraries' finders keep state between calls."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._local = make, threading.local()

    def get(self) -> Any:
        if not hasattr(self._local, "made"):
            self._local.made = self._make()
        return self._local.made


def make_face(frame: Frame, box: Box, confidence: float, landmarks: Floats | None) -> Face:
    return Face(
        frame=frame.index,
        time_s=frame.time_s,
        box=box,
        confidence=min(max(confidence, 0.0), 1.0),
        landmarks=landmarks,
    )


def most_confident(faces: list[Face]) -> list[Face]:
    """At most MAX_FACES of them, the most confident first."""
    return sorted(faces, key=lambda face: -face.confidence)[:MAX_FACES]


def overlap(a: Box, b: Box) -> float:
    """The area that two boxes share, as a part of the smaller one's."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / smaller if smaller > 0 else 0.0
