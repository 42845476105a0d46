"""From a face in a frame to the square that a bundle sees.

Training and use call the same code.

The crop is an upright square: a similarity transform (Umeyama, PAMI 1991, without reflection)
brings the five landmarks as close as it can to a canonical face, so the same part of the face is
seen whatever finder drew the box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from unmask.types import Box, Face, Floats, Image, Quality

# The canonical face: eyes, nose and corners of the mouth in a 112×112 square, as published with
# ArcFace (Deng et al.,
# CVPR 2019) and used by most face recognition since. Order: right eye, left eye, nose, right and
# left mouth corner.
CANONICAL = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
    dtype=np.float32,
)
CANONICAL_SIDE = 112.0

# Where the canonical face lies in YuNet's box: the mean over 1,300 pictures of "140k real and fake
# faces", made
# symmetric, width and height of the box being 1. Used only for finders that give no landmarks
# (dlib's HOG).
LANDMARKS_IN_BOX = np.array(
    [[0.28, 0.386], [0.72, 0.386], [0.50, 0.583], [0.31, 0.741], [0.69, 0.741]],
    dtype=np.float32,
)

Interpolation = Literal["linear", "cubic"]
_INTERPOLATIONS: dict[str, int] = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}


@dataclass(frozen=True, slots=True)
class CropSpec:
    """How a crop is cut; it stands in every bundle's card.

    - size: side of the crop in pixels
    - margin: side of the crop as a multiple of the canonical square
    - centre_y: where the centre of the crop lies in the canonical square, from its top, 0–1 (0.5:
      its middle, 0.64: the nose's tip)
    - via: the crop is cut with this side first and then brought to `size` (64 → 128 in older
      systems), or None
    """

    size: int
    margin: float
    centre_y: float
    interpolation: Interpolation = "linear"
    via: int | None = None

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 1024:
            raise ValueError(f"crop size must be 16 to 1024 pixels, but is {self.size}")
        if not 0.2 <= self.margin <= 5:
            raise ValueError(f"crop margin must be 0.2 to 5, but is {self.margin}")
        if not 0 <= self.centre_y <= 1:
            raise ValueError(f"crop centre_y must be 0 to 1, but is {self.centre_y}")
        if self.interpolation not in _INTERPOLATIONS:
            raise ValueError(
                f"interpolation must be one of {sorted(_INTERPOLATIONS)}, but is"
                f" {self.interpolation!r}"
            )
        if self.via is not None and not 16 <= self.via <= 1024:
            raise ValueError(f"crop via must be 16 to 1024 pixels, but is {self.via}")

    def target(self) -> Floats:
        """Where the five landmarks should lie in the crop as it is cut: (5, 2), pixels."""
        side = self.via or self.size
        centre = np.array([CANONICAL_SIDE / 2, CANONICAL_SIDE * self.centre_y], dtype=np.float32)
        scale = side / (CANONICAL_SIDE * self.margin)
        return ((CANONICAL - centre) * scale + side / 2).astype(np.float32)

    def cut(self, image: Image, matrix: Floats) -> Image:
        """The crop, (size, size, 3) uint8 RGB, that `matrix` takes out of `image`.

        - matrix: 2×3, from the image to the crop as it is cut
        """
        crop = warp(image, matrix, self.via or self.size, self.interpolation)
        return crop if self.via is None else self.fit(crop)

    def carry(self, points: Floats, matrix: Floats) -> Floats:
        """Where points (n, 2) of the image lie in the crop that `cut` makes, (n, 2) float32."""
        placed = points @ matrix[:, :2].T + matrix[:, 2]
        if self.via is not None:  # resized about the pixels' centres
            placed = (placed + 0.5) * (self.size / self.via) - 0.5
        return np.asarray(placed, np.float32)

    def fit(self, picture: Image) -> Image:
        """A whole picture as a crop: brought to the crop's size the way a crop is."""
        size, flag = (self.size, self.size), _INTERPOLATIONS[self.interpolation]
        if self.via is not None:
            picture = cv2.resize(picture, (self.via, self.via), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        shrinks = picture.shape[0] > self.size
        return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else flag)  # type: ignore[return-value]


def landmarks_from_box(box: Box) -> Floats:
    """The landmarks an upright frontal face would have in this box: (5, 2), pixels of the frame."""
    x0, y0, x1, y1 = box
    corner = np.array([x0, y0], dtype=np.float32)
    return corner + LANDMARKS_IN_BOX * np.array([x1 - x0, y1 - y0], dtype=np.float32)


def landmarks_of(face: Face) -> Floats:
    """The face's landmarks, or typical ones for its box: (5, 2), pixels of the frame."""
    return face.landmarks if face.landmarks is not None else landmarks_from_box(face.box)


def corners_of(landmarks: Floats, spec: CropSpec) -> Floats:
    """(4, 2), where the crop's corners lie in the frame, clockwise from its upper left."""
    back = cv2.invertAffineTransform(similarity_transform(landmarks, spec.target()))
    side = spec.via or spec.size
    square = np.array([[0, 0, 1], [side, 0, 1], [side, side, 1], [0, side, 1]], np.float32)
    return np.asarray(square @ back.T, np.float32)


def similarity_transform(source: Floats, target: Floats) -> Floats:
    """The rotation, scale and shift that bring `source` closest to `target`, as a 2×3 matrix.

    - source, target: (n, 2), n ≥ 2
    """
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2 or len(source) < 2:
        raise ValueError(
            f"need two arrays of shape (n, 2), n ≥ 2, but got {source.shape} and {target.shape}"
        )
    # In the plane a similarity is one complex factor and a shift, so least squares has a closed
    # form.
    from_mean, to_mean = source.mean(axis=0), target.mean(axis=0)
    a = (source - from_mean) @ np.array([1, 1j])
    b = (target - to_mean) @ np.array([1, 1j])
    spread = float(np.sum(np.abs(a) ** 2))
    if spread == 0:
        raise ValueError("all landmarks lie on one point")
    factor = complex(np.sum(np.conj(a) * b) / spread)
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.column_stack([linear, to_mean - linear @ from_mean]).astype(np.float32)


def warp(image: Image, matrix: Floats, size: int, interpolation: Interpolation = "linear") -> Image:
    """The `size`×`size` crop that `matrix` (2×3, frame → crop) cuts out of `image`.

    Where the crop is less than half as fine as the frame, the frame is first shrunk by area
    averaging, so that large faces do not alias. Outside the frame the border pixel is repeated.
    """
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.5:
        # only the part that is needed, and one pixel more on each side
        inverse = cv2.invertAffineTransform(matrix)
        corners = (
            np.array([[0, 0, 1], [size, 0, 1], [0, size, 1], [size, size, 1]], dtype=np.float32)
            @ inverse.T
        )
        height, width = image.shape[:2]
        x0, y0 = np.clip(np.floor(corners.min(axis=0)).astype(int) - 1, 0, [width - 1, height - 1])
        x1, y1 = np.clip(
            np.ceil(corners.max(axis=0)).astype(int) + 1, [x0 + 1, y0 + 1], [width, height]
        )
        part = image[y0:y1, x0:x1]
        shrink = scale / 0.75  # leaves a factor of 0.75 for the warp
        w, h = max(1, round((x1 - x0) * shrink)), max(1, round((y1 - y0) * shrink))
        image = cv2.resize(part, (w, h), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        # crop ← frame ← part: shrunk pixel centres lie at (p + 0.5) * ratio - 0.5
        rx, ry = (x1 - x0) / w, (y1 - y0) / h
        back = np.array([[rx, 0, x0 + rx / 2 - 0.5], [0, ry, y0 + ry / 2 - 0.5], [0, 0, 1]])
        matrix = (matrix.astype(np.float64) @ back).astype(np.float32)
    return cv2.warpAffine(  # type: ignore[return-value]
        image,
        matrix,
        (size, size),
        flags=_INTERPOLATIONS[interpolation],
        borderMode=cv2.BORDER_REPLICATE,
    )


def crop_face(image: Image, face: Face, spec: CropSpec) -> Image:
    """The crop of `face` from the full-resolution frame: (size, size, 3) uint8 RGB."""
    return spec.cut(image, similarity_transform(landmarks_of(face), spec.target()))


def measure_quality(crop: Image, box: Box, frame_size: tuple[int, int]) -> Quality:
    """How well the face can be seen.

    - frame_size: (height, width)
    """
    x0, y0, x1, y1 = box
    height, width = frame_size
    area = max(x1 - x0, 0) * max(y1 - y0, 0)
    seen = max(min(x1, width) - max(x0, 0), 0) * max(min(y1, height) - max(y0, 0), 0)
    side = int(CANONICAL_SIDE)
    luma = cv2.cvtColor(
        cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
    )
    return Quality(
        size_px=float(min(x1 - x0, y1 - y0)),
        brightness=float(luma.mean()),
        sharpness=float(cv2.Laplacian(luma, cv2.CV_32F).var()),
        inside=float(seen / area) if area > 0 else 0.0,
    )
