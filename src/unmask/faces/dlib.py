"""The face finder of dlib."""

from __future__ import annotations

import numpy as np

from unmask._internal.resizing import shrink
from unmask.errors import MissingExtraError
from unmask.faces.base import PerThread, make_face, most_confident
from unmask.types import Face, Frame


class Dlib:
    """dlib's HOG finder (King, JMLR 2009; Dalal & Triggs, CVPR 2005).

    No landmarks; misses small and turned faces.
    """

    name = "dlib"

    def __init__(self, *, longest_side: int = 1280) -> None:
        try:
            import dlib
        except ImportError as error:
            raise MissingExtraError("the face finder dlib", "finders") from error
        self._detector = PerThread(dlib.get_frontal_face_detector)
        self._longest_side = longest_side

    def find(self, frame: Frame) -> list[Face]:
        image, scale = shrink(frame.image, self._longest_side)
        boxes, scores, _ = self._detector.get().run(image, 0, 0.0)
        faces = []
        for box, score in zip(boxes, scores, strict=True):
            x, y = box.left() / scale, box.top() / scale
            w, h = (box.right() - box.left()) / scale, (box.bottom() - box.top()) / scale
            # dlib's square goes from brows to chin; brought to YuNet's box by the medians over 217
            # faces both find
            x, y, w, h = x + 0.041 * w, y - 0.194 * h, w / 1.10, h / 0.80
            faces.append(
                make_face(frame, (x, y, x + w, y + h), float(1 / (1 + np.exp(-2 * score))), None)
            )
        return most_confident(faces)
