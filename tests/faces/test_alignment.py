from __future__ import annotations

import numpy as np
import pytest

from unmask.faces.alignment import (
    CANONICAL,
    CropSpec,
    crop_face,
    landmarks_from_box,
    measure_quality,
    similarity_transform,
    warp,
)
from unmask.types import Face


def gradient(height: int, width: int) -> np.ndarray:
    """Red rises with x, green with y, so that a pixel tells where it came from."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, width).astype(np.uint8)
    image[..., 1] = np.linspace(0, 255, height).astype(np.uint8)[:, None]
    return image


def test_a_similarity_is_found_again() -> None:
    turn, scale, shift = np.deg2rad(30), 1.7, np.array([12, -5])
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = (CANONICAL @ matrix.T + shift).astype(np.float32)
    found = similarity_transform(CANONICAL, moved)
    assert found == pytest.approx(np.column_stack([matrix, shift]), abs=1e-3)


def test_a_mirrored_face_is_not_mirrored_back() -> None:
    mirrored = (CANONICAL * [-1, 1]).astype(np.float32)
    assert np.linalg.det(similarity_transform(mirrored, CANONICAL)[:, :2]) > 0


def test_landmarks_on_one_point_are_refused() -> None:
    with pytest.raises(ValueError, match="one point"):
        similarity_transform(np.zeros((5, 2), np.float32), CANONICAL)


def test_the_whole_canonical_square_by_hand() -> None:
    # margin 1 and centre 0.5: the crop is the canonical square; at size 112 nothing moves
    assert CropSpec(112, 1.0, 0.5).target() == pytest.approx(CANONICAL)
    # twice the margin: everything at half size around the centre; the nose (56.0252, 71.7366) → 56
    # + 0.0126, 56 + 7.87
    assert CropSpec(112, 2.0, 0.5).target()[2] == pytest.approx([56.0126, 63.8683], abs=1e-3)
    # centred on 0.625 · 112 = 70: everything 14 px higher
    assert CropSpec(112, 1.0, 0.625).target() == pytest.approx(CANONICAL - [0, 14], abs=1e-4)


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5, 8.0])
def test_landmarks_arrive_where_they_should_at_every_size(scale: float) -> None:
    """A bright spot on each landmark ends up on the target, also through area averaging."""
    spec = CropSpec(128, 1.2, 0.6)
    landmarks = (CANONICAL * scale + 40).astype(np.float32)
    side = int(112 * scale * 1.6 + 80)
    for number, (x, y) in enumerate(landmarks):
        yy, xx = np.mgrid[:side, :side]
        spot = 255 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * max(2 * scale, 1.5) ** 2))
        image = np.repeat(spot[..., None], 3, axis=2).astype(np.uint8)
        crop = crop_face(image, Face(0, 0.0, (0, 0, 1, 1), 1.0, landmarks), spec)
        weight = crop[..., 0].astype(float)
        rows, columns = np.mgrid[:128, :128]
        centre = [(columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()]
        assert centre == pytest.approx(spec.target()[number], abs=0.6)


def test_a_large_face_does_not_alias() -> None:
    # a fine checkerboard is grey from afar; without averaging the crop would show moiré
    board = np.indices((1600, 1600)).sum(axis=0) % 2 * 255
    image = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    crop = warp(image, np.array([[0.08, 0, 0], [0, 0.08, 0]], np.float32), 128)
    assert crop.std() < 10
    assert abs(float(crop.mean()) - 127.5) < 5


def test_a_face_over_the_border_repeats_the_border() -> None:
    image = np.full((60, 60, 3), 200, np.uint8)
    crop = crop_face(
        image,
        Face(0, 0.0, (-40, -40, 40, 40), 1.0, (CANONICAL - 60).astype(np.float32)),
        CropSpec(64, 1, 0.5),
    )
    assert (crop == 200).all()


def test_without_landmarks_the_box_serves() -> None:
    marks = landmarks_from_box((100, 200, 200, 300))
    assert marks.shape == (5, 2)
    assert marks[:, 0].mean() == pytest.approx(150)
    assert marks[0, 1] < marks[2, 1] < marks[3, 1]  # eyes above nose above mouth
    crop = crop_face(
        gradient(400, 400), Face(0, 0.0, (100, 200, 200, 300), 1.0), CropSpec(64, 1, 0.5)
    )
    assert crop.shape == (64, 64, 3)


def test_quality_by_hand() -> None:
    flat = measure_quality(np.full((64, 64, 3), 30, np.uint8), (-10, 0, 10, 40), (100, 100))
    assert flat.brightness == pytest.approx(30)
    assert flat.sharpness == 0
    assert flat.size_px == 20
    assert flat.inside == 0.5
    rng = np.random.default_rng(0)
    sharp = measure_quality(
        rng.integers(0, 256, (112, 112, 3), dtype=np.uint8), (0, 0, 50, 50), (100, 100)
    )
    assert sharp.sharpness > 1000
    assert sharp.inside == 1


@pytest.mark.parametrize(
    "change", [{"size": 4}, {"margin": 0.0}, {"centre_y": 2.0}, {"interpolation": "magic"}]
)
def test_a_bad_spec_is_refused(change: dict[str, object]) -> None:
    good: dict[str, object] = {
        "size": 64,
        "margin": 1.0,
        "centre_y": 0.5,
        "interpolation": "linear",
    }
    with pytest.raises(ValueError, match=next(iter(change))):
        CropSpec(**{**good, **change})  # type: ignore[arg-type]
