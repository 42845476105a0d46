from __future__ import annotations

import numpy as np
import pytest

from unmask._internal.jpeg import recompress
from unmask.faces.alignment import CANONICAL, CropSpec, crop_face
from unmask.lab.recipe import Augment
from unmask.lab.training.augment import pixels, training_crop
from unmask.media import through_h264
from unmask.types import Face

SPEC = CropSpec(64, 1.0, 0.5)
NOTHING = Augment(
    flip=0,
    rotate_deg=0,
    scale=(1, 1),
    shift=0,
    colour=0,
    resize=0,
    blur=0,
    noise=0,
    jpeg=0,
    erase=0,
    stretch=0,
)


def picture(seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((10, 10, 1), np.uint8))


LANDMARKS = (CANONICAL + 40).astype(np.float32)


def test_without_augmentation_training_sees_what_a_scan_sees() -> None:
    rng = np.random.default_rng(0)
    scanned = crop_face(picture(), Face(0, 0.0, (0, 0, 1, 1), 1.0, LANDMARKS), SPEC)
    assert np.array_equal(training_crop(picture(), LANDMARKS, SPEC, NOTHING, rng), scanned)


def test_a_flip_is_a_mirror() -> None:
    """A picture that is its own mirror image gives the same crop, flipped or not."""
    # smooth, so that the template's own slight asymmetry does not matter
    y, x = np.mgrid[:200, :200] / 200 - 0.4975
    symmetric = np.stack(
        [255 * x**2, 127 + 120 * np.sin(5 * y), 255 * np.cos(3 * x) ** 2], axis=2
    ).astype(np.uint8)
    marks = LANDMARKS.copy()
    marks[:, 0] = np.array([-20, 20, 0, -15, 15]) + 99.5
    flipped = NOTHING.model_copy(update={"flip": 1.0})
    rng = np.random.default_rng(0)
    plain = training_crop(symmetric, marks, SPEC, NOTHING, rng).astype(int)
    mirrored = training_crop(symmetric, marks, SPEC, flipped, rng).astype(int)
    assert np.abs(plain - mirrored).mean() < 1


def test_the_same_seed_gives_the_same_picture_and_another_does_not() -> None:
    def crop(seed: int) -> np.ndarray:
        return training_crop(
            picture(), LANDMARKS, SPEC, Augment(smallest_px=24), np.random.default_rng(seed)
        )

    assert np.array_equal(crop(3), crop(3))
    assert not np.array_equal(crop(3), crop(4))


@pytest.mark.parametrize("step", ["colour", "resize", "blur", "noise", "jpeg", "erase"])
def test_every_step_changes_pixels_and_keeps_shape_and_type(step: str) -> None:
    only = NOTHING.model_copy(update={step: 1.0, "smallest_px": 20})
    before = picture()[:64, :64]
    kept = before.copy()
    after = pixels(before, only, np.random.default_rng(1))
    assert after.shape == before.shape
    assert after.dtype == np.uint8
    assert not np.array_equal(after, before)
    assert np.array_equal(before, kept)  # the input is left alone


def test_jpeg_quality() -> None:
    rough, fine = (
        np.abs(recompress(picture(), q).astype(int) - picture()).mean() for q in (10, 95)
    )
    assert rough > 2 * fine


def test_a_crop_goes_through_h264_as_often_as_the_recipe_says() -> None:
    always = NOTHING.model_copy(update={"h264": 1.0, "h264_crf": (40, 40)})
    crop = picture()[:64, :64]
    coded = pixels(crop, always, np.random.default_rng(0))
    assert np.array_equal(coded, through_h264(crop, 40))
    assert not np.array_equal(coded, crop)
    assert np.array_equal(pixels(crop, NOTHING, np.random.default_rng(0)), crop)


def test_a_crop_is_smoothed_as_often_as_the_recipe_says() -> None:
    """The grain goes, the edges stay; a recipe without it draws the same crops as before."""
    rng = np.random.default_rng(0)
    crop = np.full((64, 64, 3), 60, np.uint8)
    crop[:, 32:] = 190
    grainy = np.clip(crop + rng.normal(0, 6, crop.shape), 0, 255).astype(np.uint8)
    always = NOTHING.model_copy(update={"denoise": 1.0})
    for seed in range(12):
        smooth = pixels(grainy, always, np.random.default_rng(seed))
        assert smooth.shape == crop.shape
        assert smooth.dtype == np.uint8
        assert smooth[:, 4:24].std() < 0.8 * grainy[:, 4:24].std()
        assert int(smooth[:, 40:].mean()) - int(smooth[:, :24].mean()) > 120
    never = pixels(grainy, NOTHING, np.random.default_rng(0))
    assert np.array_equal(never, grainy)
