"""Photographs as phones write them: whole, upright, and all of them named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.heif import write_heic
from unmask.errors import MediaError, TooLargeError
from unmask.media import open_media
from unmask.types import Media, Part

RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 170, 30), (30, 30, 200), (230, 230, 230)


def tile(colour: tuple[int, int, int], side: int = 64) -> np.ndarray:
    return np.full((side, side, 3), colour, np.uint8)


def read(path: Path) -> tuple[np.ndarray, Media]:
    with open_media(path) as source:
        (frame,) = source.frames(32)
        return frame.image, source.media


def is_near(pixel: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(pixel.astype(int) - colour) < 25).all())


def corners(image: np.ndarray) -> list[np.ndarray]:
    """Pixels in the upper left, upper right, lower left and lower right."""
    return [image[8, 8], image[8, -8], image[-8, 8], image[-8, -8]]


def test_a_grid_is_put_together(tmp_path: Path) -> None:
    colours = (RED, GREEN, BLUE, WHITE)
    path = write_heic(tmp_path / "a.heic", [tile(colour) for colour in colours], columns=2)
    image, media = read(path)
    assert (media.kind, media.width, media.height) == ("image", 128, 128)
    assert media.unseen == ()
    assert image.shape == (128, 128, 3)
    for pixel, colour in zip(corners(image), colours, strict=True):
        assert is_near(pixel, colour)


@pytest.mark.parametrize(
    ("turns", "mirrored", "upper"),
    [(0, False, (RED, GREEN)), (1, False, (GREEN, WHITE)), (2, False, (WHITE, BLUE)),
     (0, True, (GREEN, RED))],
)  # fmt: skip
def test_the_picture_is_turned_as_the_file_says(
    tmp_path: Path,
    turns: int,
    mirrored: bool,
    upper: tuple[tuple[int, int, int], tuple[int, int, int]],
) -> None:
    tiles = [tile(colour) for colour in (RED, GREEN, BLUE, WHITE)]
    path = write_heic(tmp_path / "a.heic", tiles, columns=2, turns=turns, mirrored=mirrored)
    image, _ = read(path)
    assert is_near(corners(image)[0], upper[0])
    assert is_near(corners(image)[1], upper[1])


def test_a_turned_picture_has_its_upright_size(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "a.heic", [tile(RED), tile(GREEN)], columns=2, turns=1)
    image, media = read(path)
    assert (media.width, media.height) == (64, 128)
    assert image.shape == (128, 64, 3)
    assert is_near(image[8, 8], GREEN)


def test_further_pictures_are_named(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "a.heic", [tile(RED), tile(GREEN), tile(BLUE)])
    image, media = read(path)
    assert is_near(image[8, 8], RED)
    (unseen,) = media.unseen
    assert (unseen.part, unseen.count) == (Part.PICTURES, 2)


def test_the_clip_of_a_motion_photo_is_named(tmp_path: Path) -> None:
    clip = b"\0\0\0\x18ftypmp42" + bytes(1000)
    _, media = read(write_heic(tmp_path / "a.heic", [tile(RED)], behind=clip))
    assert [one.part for one in media.unseen] == [Part.CLIP]


def test_broken_and_too_large_ones_are_refused(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "a.heic", [tile(RED)])
    with pytest.raises(TooLargeError, match="64×64 pixels"):
        open_media(path, max_pixels=1000)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for length in rng.integers(12, len(whole) - 1, 20):
        path.write_bytes(whole[:length])
        with pytest.raises(MediaError):
            read(path)
