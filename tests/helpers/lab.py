from __future__ import annotations

import cv2
import numpy as np

TINY = [
    "model={backbone: test_resnet, weights: random}",
    "crop={size: 64, margin: 1.0, centre_y: 0.6}",
    (
        "train={images: 640, batch: 16, learning_rate: 0.003, ema: 0.8, validations: 2, optimizer:"
        " adamw}"
    ),
    "augment={erase: 0, noise: 0, colour: 0.1, smallest_px: 24}",
    "data.weights={}",
    "gates={min_size_px: 20, min_inside: 0.3, outside: 0.001}",
]
"""Overrides that turn the shipped recipe into one of seconds."""


def encoded(image: np.ndarray) -> bytes:
    """As JPEG."""
    return bytes(cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1])
