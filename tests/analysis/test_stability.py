from __future__ import annotations

import numpy as np
import pytest

from unmask.analysis.stability import (
    MAX_SIDE,
    PERTURBATIONS,
    crop_patch,
    cut_patch,
    perturb,
    rejudge,
    worth_perturbing,
)
from unmask.analysis.verdict import hold_against
from unmask.bundle import Thresholds
from unmask.faces.alignment import CropSpec, crop_face
from unmask.testing import FakeFinder
from unmask.types import Face, Frame, Label, Reason, Variant, Verdict

THRESHOLDS = Thresholds(fake=0.9, real=0.2, false_positive_rate=0.01, false_negative_rate=0.05)
SPEC = CropSpec(64, 1.0, 0.5)


def picture(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 / width, y * 255 / height, (x + y) % 256], axis=-1).astype(np.uint8)


def face_in(image: np.ndarray, box: tuple[float, float, float, float]) -> Face:
    (face,) = FakeFinder(box).find(Frame(0, 0.0, image))
    return face


@pytest.mark.parametrize(
    "box", [(60.0, 40.0, 160.0, 150.0), (-10.0, -5.0, 90.0, 100.0), (200.0, 150.0, 330.0, 260.0)]
)
def test_a_patch_gives_the_same_crop_as_its_frame(box: tuple[float, float, float, float]) -> None:
    image = picture(240, 320)
    face = face_in(image, box)
    assert face.landmarks is not None
    again = crop_patch(cut_patch(image, face.landmarks, SPEC), SPEC)
    inside = crop_face(image, face, SPEC)
    # the patch's border lies outside of the crop
    assert np.abs(again.astype(int) - inside).max() <= 3


def test_a_large_face_is_shrunk_first() -> None:
    image = picture(3000, 3000)
    face = face_in(image, (400.0, 400.0, 2400.0, 2600.0))
    assert face.landmarks is not None
    patch = cut_patch(image, face.landmarks, SPEC)
    assert max(patch.image.shape) == MAX_SIDE
    gap = np.abs(
        crop_patch(patch, SPEC).astype(int)[..., :2] - crop_face(image, face, SPEC)[..., :2]
    )
    assert gap.max() <= 3


def test_a_patch_is_a_copy() -> None:
    image = picture(240, 320)
    patch = cut_patch(image, face_in(image, (60.0, 40.0, 160.0, 150.0)).landmarks, SPEC)
    assert not np.shares_memory(patch.image, image)


def test_every_change_changes_something_and_little() -> None:
    rng = np.random.default_rng(0)
    image = np.clip(picture(240, 320) + rng.normal(0, 12, (240, 320, 3)), 0, 255).astype(np.uint8)
    face = face_in(image, (60.0, 40.0, 160.0, 150.0))
    assert face.landmarks is not None
    patch = cut_patch(image, face.landmarks, SPEC)
    plain = crop_patch(patch, SPEC).astype(int)
    crops = perturb(patch, SPEC)
    assert set(crops) == set(PERTURBATIONS)
    for name, crop in crops.items():
        gap = np.abs(crop - plain).mean()
        assert 0.5 < gap < 30, name


def test_judging_again_by_hand() -> None:
    # odds 9 before; a change that halves the odds of the tested faces halves those of the person
    (variant,) = rejudge(0.9, [0.8, 0.5], {"softer": [2 / 3, 1 / 3]}, THRESHOLDS)
    assert variant.probability_fake == pytest.approx(4.5 / 5.5)
    assert variant.label is Label.INCONCLUSIVE


def variants(*labels: Label) -> list[Variant]:
    return [Variant(str(n), 0.5, label) for n, label in enumerate(labels)]


FAKE = Verdict(Label.FAKE, 0.95, (Reason.ABOVE_FAKE_THRESHOLD,))


def test_what_undoes_a_verdict() -> None:
    held = hold_against(
        FAKE, variants(Label.FAKE, Label.FAKE, Label.FAKE, Label.INCONCLUSIVE, Label.INCONCLUSIVE)
    )
    assert held == FAKE
    for labels in (
        [Label.FAKE, Label.FAKE, Label.FAKE, Label.FAKE, Label.REAL],  # one turns it round
        [
            Label.FAKE,
            Label.FAKE,
            Label.INCONCLUSIVE,
            Label.INCONCLUSIVE,
            Label.INCONCLUSIVE,
        ],  # most undo it
    ):
        undone = hold_against(FAKE, variants(*labels))
        assert undone == Verdict(
            Label.INCONCLUSIVE, 0.95, (Reason.UNSTABLE, Reason.ABOVE_FAKE_THRESHOLD)
        )


def test_no_verdict_has_nothing_to_lose() -> None:
    between = Verdict(Label.INCONCLUSIVE, 0.5, (Reason.BETWEEN_THRESHOLDS,))
    assert hold_against(between, variants(Label.REAL)) == between
    assert hold_against(FAKE, []) == FAKE


@pytest.mark.parametrize(
    ("probability", "near", "sure"),
    [
        (0.95, True, True),
        (0.999, False, True),
        (0.1, True, True),
        (0.01, False, True),
        (0.5, False, False),
    ],
)
def test_what_is_worth_testing(probability: float, near: bool, sure: bool) -> None:
    assert worth_perturbing(probability, THRESHOLDS) is near
    assert worth_perturbing(probability, THRESHOLDS, however_sure=True) is sure


def test_a_patch_reaches_as_far_as_a_wide_crop() -> None:
    wide, image = CropSpec(64, 2.5, 0.5), picture(480, 640)
    face = face_in(image, (260.0, 180.0, 360.0, 290.0))
    assert face.landmarks is not None
    again = crop_patch(cut_patch(image, face.landmarks, wide), wide)
    assert np.abs(again.astype(int) - crop_face(image, face, wide))[..., :2].max() <= 3
