"""Training pictures as the world makes them: turned, moved, re-lit, smoothed, resized, compressed.

Every picture, real or fake and from whatever set, goes through the same chain, which also hides how
its data set was wrapped (resolution, JPEG quality). OpenCV only: fast, and no torchvision.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from unmask._internal.jpeg import recompress
from unmask.faces.alignment import CropSpec, similarity_transform
from unmask.lab.recipe import Augment
from unmask.media import through_h264
from unmask.types import Floats, Image

_MIRRORED = [1, 0, 2, 4, 3]  # the landmarks' order after a flip


def training_crop(
    image: Image,
    landmarks: Floats,
    spec: CropSpec,
    augment: Augment,
    rng: np.random.Generator,
    forge: Callable[[Image, Floats], Image] | None = None,
) -> Image:
    """An augmented crop, (size, size, 3) uint8 RGB: cut by the runtime's own code, then pixels.

    - forge: what is done to the crop in between, given where the landmarks lie in it
    """
    if rng.random() < augment.flip:
        image = np.ascontiguousarray(image[:, ::-1])
        mirrored = landmarks * np.array([-1, 1], np.float32) + np.array(
            [image.shape[1] - 1, 0], np.float32
        )
        landmarks = mirrored[_MIRRORED].astype(np.float32)
    jitter = _jitter(spec.via or spec.size, augment, rng)
    matrix = jitter @ np.vstack([similarity_transform(landmarks, spec.target()), [0, 0, 1]])
    crop = spec.cut(image, matrix[:2].astype(np.float32))
    if forge is not None:
        crop = forge(crop, spec.carry(landmarks, matrix[:2]))
    return pixels(crop, augment, rng)


def pixels(crop: Image, augment: Augment, rng: np.random.Generator) -> Image:
    """Light, smoothing, resolution, blur, noise, compression and a hole, each with its chance."""
    if rng.random() < augment.colour:
        crop = _colour(crop, rng)
    if augment.denoise and rng.random() < augment.denoise:
        crop = _denoise(crop, rng)
    if rng.random() < augment.resize:
        crop = _resize(crop, augment.smallest_px, rng)
    if rng.random() < augment.blur:
        crop = cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.4, 1.8))  # type: ignore[assignment]
    if rng.random() < augment.noise:
        noise = rng.normal(0, rng.uniform(1, 8), crop.shape)
        crop = np.clip(crop + noise, 0, 255).astype(np.uint8)
    if augment.h264 and rng.random() < augment.h264:
        crop = through_h264(crop, int(rng.integers(augment.h264_crf[0], augment.h264_crf[1] + 1)))
    if rng.random() < augment.jpeg:
        crop = recompress(
            crop, int(rng.integers(augment.jpeg_quality[0], augment.jpeg_quality[1] + 1))
        )
    if rng.random() < augment.erase:
        crop = _erase(crop, rng)
    return crop


def _jitter(size: int, augment: Augment, rng: np.random.Generator) -> Floats:
    """A random 3×3 similarity about the middle of the crop."""
    angle = np.deg2rad(rng.uniform(-augment.rotate_deg, augment.rotate_deg))
    scale = np.exp(rng.uniform(np.log(augment.scale[0]), np.log(augment.scale[1])))
    aspect = np.exp(rng.uniform(-augment.stretch, augment.stretch))
    dx, dy = rng.uniform(-augment.shift, augment.shift, 2) * size
    middle = size / 2
    c, s = np.cos(angle), np.sin(angle)
    turn = scale * np.array([[c * aspect, -s / aspect], [s * aspect, c / aspect]])
    matrix = np.eye(3)
    matrix[:2, :2] = turn
    matrix[:2, 2] = np.array([middle + dx, middle + dy]) - turn @ np.array([middle, middle])
    return matrix.astype(np.float32)


def _colour(image: Image, rng: np.random.Generator) -> Image:
    x = image.astype(np.float32) / 255
    x = x ** np.exp(rng.uniform(-0.45, 0.45))  # gamma
    # contrast, brightness
    x = (x - x.mean()) * rng.uniform(0.7, 1.3) + x.mean() * rng.uniform(0.7, 1.3)
    grey = x.mean(axis=2, keepdims=True)
    # saturation, now and then none
    x = grey + (x - grey) * (0.0 if rng.random() < 0.1 else rng.uniform(0.5, 1.4))
    x = x * rng.uniform(0.92, 1.08, 3)  # white balance
    return np.asarray(np.clip(x, 0, 1) * 255, np.uint8)


def _denoise(image: Image, rng: np.random.Generator) -> Image:
    """Skin without its grain, edges kept: as telephones, beauty filters and restored films have it.

    By a bilateral filter, or by non-local means, which take some five times as long; half of the
    pictures are sharpened afterwards.
    """
    if rng.random() < 0.7:
        tones, reach = rng.uniform(15, 60), rng.uniform(4, 12)
        smooth = cv2.bilateralFilter(image, int(rng.integers(5, 12)), tones, reach)
    else:
        strength = rng.uniform(3, 12)
        smooth = cv2.fastNlMeansDenoisingColored(image, None, strength, strength, 3, 11)
    if rng.random() < 0.5:
        soft = cv2.GaussianBlur(smooth, (0, 0), 1.2).astype(np.float32)
        sharpened = smooth + rng.uniform(0.3, 1.2) * (smooth - soft)
        smooth = np.clip(sharpened, 0, 255).astype(np.uint8)
    return smooth  # type: ignore[return-value]


def _resize(image: Image, smallest_px: int, rng: np.random.Generator) -> Image:
    size = image.shape[0]
    small = int(rng.integers(smallest_px, size))
    down = [cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC][rng.integers(3)]
    up = [cv2.INTER_LINEAR, cv2.INTER_CUBIC][rng.integers(2)]
    return cv2.resize(
        cv2.resize(image, (small, small), interpolation=down), (size, size), interpolation=up
    )  # type: ignore[return-value]


def _erase(image: Image, rng: np.random.Generator) -> Image:
    size = image.shape[0]
    h, w = rng.integers(size // 8, size // 3, 2)
    y, x = rng.integers(0, size - h), rng.integers(0, size - w)
    image = image.copy()
    image[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return image
