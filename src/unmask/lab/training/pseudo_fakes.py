"""Pseudo-fakes: fakes made of real faces, with the mask of what was forged.

Self-blended images after Shiohara & Yamasaki (CVPR 2022, section 3): two views of one face,
differing in light, sharpness, compression and a little in place, joined by a soft mask. Wider than
theirs: masks of parts of the face; a second person's face (Li et al., Face X-ray, CVPR 2020);
warps; lost resolution; and the grid that upsampling in generators leaves (Zhang et al., WIFS 2019).
No landmark model is needed: outlines are those of the canonical face, carried over by the five
landmarks of the finder.

A real face, a pseudo-fake and a published fake go through the same `view` and, later, the same
light, noise and compression, so that nothing but the forgery tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import cv2
import numpy as np

from unmask._internal.jpeg import recompress
from unmask.faces.alignment import CANONICAL
from unmask.lab.recipe import Kind
from unmask.types import Floats, Image

KINDS: tuple[Kind, ...] = get_args(Kind)

Rng = np.random.Generator

# Outlines in the canonical face (`unmask.faces.alignment.CANONICAL`, 112×112), drawn by hand around
# its five landmarks.
_JAW = [
    (91, 50),
    (92, 64),
    (88, 82),
    (80, 97),
    (70, 107),
    (56, 112),
    (42, 107),
    (32, 97),
    (24, 82),
    (20, 64),
    (21, 50),
]
_OUTLINES: Mapping[str, list[tuple[int, int]]] = {
    "face": [*_JAW, (27, 36), (42, 29), (56, 27), (70, 29), (85, 36)],
    "forehead": [*_JAW, (23, 30), (36, 14), (56, 8), (76, 14), (89, 30)],
    "inner": [(27, 40), (85, 40), (85, 66), (77, 98), (56, 105), (35, 98), (27, 66)],
    "eyes": [(22, 40), (90, 40), (90, 58), (64, 64), (56, 58), (48, 64), (22, 58)],
    "nose": [(48, 50), (64, 50), (73, 78), (56, 84), (39, 78)],
    "mouth": [(34, 84), (56, 79), (78, 84), (81, 97), (68, 107), (44, 107), (31, 97)],
    "lower": [
        (92, 68),
        (88, 82),
        (80, 97),
        (70, 107),
        (56, 112),
        (42, 107),
        (32, 97),
        (24, 82),
        (20, 68),
    ],
    "right": [(56, 27), (56, 112), *_JAW[6:], (27, 36), (42, 29)],
    "left": [(56, 27), (70, 29), (85, 36), *_JAW[:6]],
}
_WHOLE = ("face", "forehead", "inner")  # the outlines that face swaps have

FAINTEST = 1.2
"""Levels (of 255) by which the forged part must differ on average, or there is nothing to be seen
and nothing to learn."""


@dataclass(frozen=True, slots=True, eq=False)
class Pseudo:
    """A forged face.

    - image: (h, w, 3) uint8 RGB
    - mask: (h, w) float32 in [0, 1], the share of each pixel that is forged
    """

    image: Image
    mask: Floats


def blend(
    face: Image, landmarks: Floats, kind: Kind, rng: Rng, donor: tuple[Image, Floats] | None = None
) -> Pseudo:
    """A pseudo-fake of `face`.

    - landmarks: (5, 2), in pixels of it
    - donor: another person's face and its landmarks, for the kind `other`, which without one is
      `self`

    The rest of the face (mask 0) is left as it is, save for `upsample`, which may take the whole
    picture.
    """
    result = Pseudo(face, np.zeros(face.shape[:2], np.float32))
    for _ in range(4):
        if kind == "other" and donor is not None:
            source = _moved_in(donor[0], donor[1], landmarks, face.shape[1], face.shape[0])
            source = _recolour(
                source, face, _outline(_OUTLINES["inner"], landmarks, face.shape[:2]), rng
            )
        else:
            source = _SOURCES["self" if kind == "other" else kind](face, rng)
        whole = kind == "upsample" and rng.random() < 0.5
        mask = (
            np.ones(face.shape[:2], np.float32)
            if whole
            else draw_mask(landmarks, face.shape[:2], rng, kind)
        )
        joined = face + (source.astype(np.float32) - face) * mask[..., None]
        result = Pseudo(np.clip(joined + 0.5, 0, 255).astype(np.uint8), mask)
        change = np.abs(joined - face).mean(axis=2)
        if float((change * mask).sum()) >= FAINTEST * float(mask.sum()) > 0:
            break
    return result


def view(face: Image, rng: Rng) -> Image:
    """The same face in other light, sharpness and compression.

    It is what sets the two halves of a blend apart.
    """
    x = face
    what = rng.random(4) < (0.6, 0.5, 0.4, 0.3)
    if what[0] or not what.any():
        shifted = x.astype(np.float32) + rng.uniform(-18, 18, 3) * rng.random()
        grey = shifted.mean(axis=2, keepdims=True)
        shifted = grey + (shifted - grey) * rng.uniform(0.75, 1.25)
        middle = shifted.mean()
        x = np.clip(
            (shifted - middle) * rng.uniform(0.85, 1.15) + middle + rng.uniform(-12, 12), 0, 255
        ).astype(np.uint8)
    if what[1]:
        soft: Any = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.5, 1.6))
        amount = rng.uniform(-1.0, 0.8)  # below zero: softer
        x = np.clip(x + amount * (x.astype(np.float32) - soft), 0, 255).astype(np.uint8)
    if what[2]:
        x = _halfway(x, rng.uniform(0.35, 0.9), rng)
    if what[3]:
        x = recompress(x, int(rng.integers(45, 96)))
    return x


def draw_mask(landmarks: Floats, shape: tuple[int, int], rng: Rng, kind: Kind = "self") -> Floats:
    """A soft mask over the face, or over a part of it: (h, w) float32 in [0, 1].

    - landmarks: (5, 2) pixels
    """
    width = shape[1]
    names = list(_OUTLINES)
    name = str(rng.choice(_WHOLE if kind == "other" or rng.random() < 0.6 else names))
    points = np.array(_OUTLINES[name], np.float32) + rng.normal(
        0, 2.0, (len(_OUTLINES[name]), 2)
    ).astype(np.float32)
    mask = _bend(_outline(points, landmarks, shape), 0.025 * width, rng)
    sigma = float(np.exp(rng.uniform(np.log(0.006), np.log(0.05)))) * width
    inside = mask
    mask = cv2.GaussianBlur(mask, (0, 0), sigma)
    if rng.random() < 0.5:  # the soft edge within the outline, as swaps have it, or across it
        mask = np.clip(2 * mask - 1, 0, 1) * inside
    if rng.random() < 0.4:
        mask = mask * rng.choice([0.25, 0.5, 0.75])
    return np.asarray(np.clip(mask, 0, 1), np.float32)


def _outline(points: Any, landmarks: Floats, shape: tuple[int, int]) -> Floats:
    """A polygon of the canonical face, filled with 1, on a face with these landmarks: (h, w).

    - points: (n, 2)
    """
    matrix = _affine(CANONICAL, landmarks)
    placed = np.asarray(points, np.float32) @ matrix[:, :2].T + matrix[:, 2]
    filled = np.zeros(shape, np.float32)
    cv2.fillPoly(filled, [placed.round().astype(np.int32)], 1.0)
    return filled


def _affine(source: Floats, target: Floats) -> np.ndarray:
    """The 2×3 affine map that brings the landmarks `source` closest to `target`, both (5, 2).

    Turned faces are narrower, which no similarity is.
    """
    five = np.hstack([source, np.ones((5, 1), np.float32)])
    return np.asarray(np.linalg.lstsq(five, target, rcond=None)[0].T)


def _self(face: Image, rng: Rng) -> Image:
    """Another view, moved and scaled by a few hundredths (Shiohara & Yamasaki, section 3.1)."""
    height, width = face.shape[:2]
    scale = rng.uniform(0.95, 1.05, 2)
    shift = rng.uniform(-0.03, 0.03, 2) * (width, height)
    centre = np.array([width / 2, height / 2])
    matrix = np.array([[scale[0], 0, 0], [0, scale[1], 0]], np.float32)
    matrix[:, 2] = centre + shift - scale * centre
    moved: Any = cv2.warpAffine(
        view(face, rng), matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(_bend(moved, 0.012 * width, rng) if rng.random() < 0.5 else moved)


def _warp(face: Image, rng: Rng) -> Image:
    """The face bent, as by reenactment: nothing but geometry."""
    return np.asarray(_bend(face, rng.uniform(0.008, 0.025) * face.shape[1], rng))


def _resample(face: Image, rng: Rng) -> Image:
    """The face at a lower resolution, as that of a generator whose output was enlarged."""
    return _halfway(face, rng.uniform(0.25, 0.6), rng)


def _upsample(face: Image, rng: Rng) -> Image:
    """The face enlarged as transposed convolutions do it, which leaves a fine grid.

    Zeros are filled in and smoothed away by a kernel that is not even.

    What detail the smaller picture lost is given back in part.
    """
    pad = 8  # so that the border of the picture shows nothing
    face = cv2.copyMakeBorder(face, pad, pad, pad, pad, cv2.BORDER_REFLECT_101)  # type: ignore[assignment]
    height, width = face.shape[:2]
    small: Any = cv2.resize(face, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    spread = np.zeros((height, width, 3), np.float32)
    spread[: height // 2 * 2 : 2, : width // 2 * 2 : 2] = small
    kernel = (
        np.outer([1, 3, 3, 1], [1, 3, 3, 1])
        / 16
        * (1 + rng.normal(0, rng.uniform(0.02, 0.12), (4, 4)))
    )
    up: Any = cv2.filter2D(
        spread, -1, kernel * 4 / kernel.sum(), anchor=(1, 1), borderType=cv2.BORDER_REFLECT
    )
    soft: Any = cv2.GaussianBlur(face, (0, 0), 1.2)
    detail = face.astype(np.float32) - soft
    whole = np.clip(up + rng.uniform(0.3, 1.0) * detail, 0, 255).astype(np.uint8)
    return np.asarray(whole[pad:-pad, pad:-pad])


_SOURCES: Mapping[str, Callable[[Image, Rng], Image]] = {
    "self": _self,
    "warp": _warp,
    "resample": _resample,
    "upsample": _upsample,
}


def _moved_in(donor: Image, marks: Floats, landmarks: Floats, width: int, height: int) -> Image:
    """The donor's face with its landmarks brought onto `landmarks`."""
    matrix = _affine(marks, landmarks).astype(np.float32)
    return cv2.warpAffine(donor, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)  # type: ignore[return-value]


def _recolour(source: Image, face: Image, where: Floats, rng: Rng) -> Image:
    """Mean and spread of each Lab channel of `source` brought near to those of `face`.

    Reinhard et al., 2001.
    """
    lab, wanted = (
        cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32) for image in (source, face)
    )
    inside = where > 0
    if inside.any():
        ours, theirs = lab[inside], wanted[inside]
        gain = np.clip((theirs.std(axis=0) + 1) / (ours.std(axis=0) + 1), 0.5, 2.0)
        lab = lab + rng.uniform(0.7, 1.0) * (
            (lab - ours.mean(axis=0)) * gain + theirs.mean(axis=0) - lab
        )
    return np.asarray(cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB))


def _halfway(image: Image, scale: float, rng: Rng) -> Image:
    """Down to `scale` of the size and up again."""
    height, width = image.shape[:2]
    down = [cv2.INTER_AREA, cv2.INTER_LINEAR][rng.integers(2)]
    up = [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4][rng.integers(3)]
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = cv2.resize(image, size, interpolation=down)
    return cv2.resize(small, (width, height), interpolation=up)  # type: ignore[return-value]


def _bend(image: Any, pixels: float, rng: Rng) -> Any:
    """A smooth random displacement of about `pixels`."""
    height, width = image.shape[:2]
    coarse = rng.normal(0, pixels, (5, 5, 2)).astype(np.float32)
    flow = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return cv2.remap(
        image,
        x + flow[..., 0],
        y + flow[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
