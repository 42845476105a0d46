"""Shot boundaries: frames of a video that look unlike the one before."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from unmask.types import Floats, Frame

MIN_CORRELATION = 0.5
"""Correlation of two coarse frames below which a cut lies between them."""

COARSE_SIZE = (32, 18)
"""Width and height that frames are compared at."""


class ShotDetector:
    """Remembers coarsely what each frame shows, and says where the shots change.

    Frames may come in any order.
    """

    def __init__(self) -> None:
        self._coarse_frames: dict[int, Floats] = {}

    def add(self, frame: Frame) -> None:
        """Remember this frame."""
        height, width = frame.image.shape[:2]
        # every n-th pixel of the green channel first: averaging the whole frame would cost more
        # than finding its faces
        strided = frame.image[:: max(1, height // 144), :: max(1, width // 256), 1]
        coarse = cv2.resize(
            np.ascontiguousarray(strided), COARSE_SIZE, interpolation=cv2.INTER_AREA
        )
        floats = np.asarray(coarse, np.float32)
        # without its mean, so that a change of brightness alone is no cut
        self._coarse_frames[frame.index] = floats - floats.mean()

    def cuts(self) -> list[int]:
        """Numbers of the frames that look unlike the one looked at before."""
        cuts = []
        in_order = sorted(self._coarse_frames.items(), key=lambda item: item[0])
        for (_, before), (number, after) in pairwise(in_order):
            norm = float(np.linalg.norm(before) * np.linalg.norm(after))
            if norm > 0 and float((before * after).sum()) < MIN_CORRELATION * norm:
                cuts.append(number)
        return cuts
