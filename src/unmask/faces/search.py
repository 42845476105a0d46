"""Finding the face in pictures that it fills: face crops, portraits, profile pictures."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from unmask._internal.resizing import shrink
from unmask.faces.base import FaceFinder
from unmask.types import Face, Frame, Image


def find_close_up(finder: FaceFinder, frame: Frame) -> list[Face]:
    """A second look at a picture in which nothing was found: with a border around it, and smaller.

    Finders miss a face that fills the whole picture or is cut by its border, as in profile pictures
    and face crops.
    """
    height, width = frame.image.shape[:2]
    small, scale = shrink(frame.image, 320)
    pad = max(small.shape[:2]) // 3
    bordered = cv2.copyMakeBorder(small, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    in_border = finder.find(Frame(frame.index, frame.time_s, bordered))  # type: ignore[arg-type]
    faces = []
    for face in in_border:
        x0, y0, x1, y1 = ((v - pad) / scale for v in face.box)
        if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
            continue
        landmarks = (
            None
            if face.landmarks is None
            else ((face.landmarks - pad) / np.float32(scale)).astype(np.float32)
        )
        faces.append(replace(face, box=(x0, y0, x1, y1), landmarks=landmarks))
    return faces


def find_main_face(finder: FaceFinder, image: Image) -> Face | None:
    """The largest face of a picture that shows one person (a face crop, a portrait), or None."""
    frame = Frame(0, 0.0, image)
    faces = finder.find(frame) or find_close_up(finder, frame)
    return max(
        faces,
        key=lambda face: face.area_px,
        default=None,
    )
