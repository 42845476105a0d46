"""Making pictures smaller, by area averaging."""

from __future__ import annotations

import cv2

from unmask.types import Image


def scaled_down(image: Image, scale: float, *, smallest_px: int = 1) -> Image:
    """The image at this scale, ≤ 1; the image itself at 1.

    - smallest_px: no side becomes shorter than this
    """
    if scale >= 1:
        return image
    height, width = image.shape[:2]
    size = (max(smallest_px, round(width * scale)), max(smallest_px, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def shrink(image: Image, longest_side: int) -> tuple[Image, float]:
    """The image with its longest side at most `longest_side`, and its scale, ≤ 1."""
    scale = min(1.0, longest_side / max(image.shape[:2]))
    return scaled_down(image, scale), scale
