"""Pictures as JPEG and back, by OpenCV."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from unmask.types import Image


def encode(image: Image, quality: int) -> bytes:
    """(h, w, 3) RGB → JPEG of this quality, 1–100, with colour at half the detail."""
    return bytes(
        cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    )


def recompress(image: Image, quality: int) -> Image:
    """The image after JPEG compression at this quality, 1–100."""
    return decode(encode(image, quality))


def decode(data: bytes) -> Image:
    """JPEG → (h, w, 3) RGB."""
    bgr: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return np.ascontiguousarray(bgr[..., ::-1], np.uint8)
