from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.lab import encoded
from unmask.faces.alignment import CANONICAL, CropSpec
from unmask.lab.audit.audit import measure_shortcut
from unmask.lab.audit.file_features import item_facts
from unmask.lab.data.manifest import Item, read_manifest
from unmask.lab.data.samples import Sample, find_samples
from unmask.lab.recipe import Augment, PseudoFakes
from unmask.lab.training.loader import Crops, with_pseudo_fakes
from unmask.lab.training.pseudo_fakes import KINDS, blend, draw_mask, view
from unmask.types import Floats, Image

SIDE = 160
MARKS = (CANONICAL * SIDE / 112).astype(np.float32)


def noise_face(seed: int) -> Image:
    """A picture with detail everywhere, so that any change of it is seen."""
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_forged_lies_in_the_mask_and_the_rest_is_left_alone(kind: str) -> None:
    face, other = noise_face(1), noise_face(2)
    for seed in range(6):
        fake = blend(face, MARKS, kind, np.random.default_rng(seed), (other, MARKS))  # type: ignore[arg-type]
        assert fake.image.shape == face.shape
        assert fake.image.dtype == np.uint8
        assert fake.mask.shape == (SIDE, SIDE)
        assert fake.mask.min() >= 0
        assert 0.2 < fake.mask.max() <= 1
        changed = np.abs(fake.image.astype(int) - face).max(axis=2)
        assert changed[fake.mask == 0].max(initial=0) == 0
        assert changed[fake.mask > 0.2].mean() > 2
        again = blend(face, MARKS, kind, np.random.default_rng(seed), (other, MARKS))  # type: ignore[arg-type]
        assert np.array_equal(again.image, fake.image)


def test_masks_lie_on_the_face_wherever_it_is() -> None:
    shift = np.array([30, -12], np.float32)
    centres = []
    for marks in (MARKS * 0.6 + 25, MARKS * 0.6 + 25 + shift):
        masks = np.mean(
            [draw_mask(marks, (SIDE, SIDE), np.random.default_rng(seed)) for seed in range(40)],
            axis=0,
        )
        y, x = np.mgrid[0:SIDE, 0:SIDE]
        centre = np.array([(masks * x).sum(), (masks * y).sum()]) / masks.sum()
        assert np.abs(centre - marks.mean(axis=0)).max() < 0.1 * SIDE
        centres.append(centre)
    assert centres[1] - centres[0] == pytest.approx(shift, abs=4)


def test_a_turned_face_has_a_narrower_mask() -> None:
    turned: Floats = MARKS.copy()
    turned[:, 0] = 56 + (turned[:, 0] - 80) * 0.5
    widths = [
        np.mean(
            [
                (draw_mask(m, (SIDE, SIDE), np.random.default_rng(s), "other") > 0.1)
                .any(axis=0)
                .sum()
                for s in range(20)
            ]
        )
        for m in (MARKS, turned)
    ]
    assert widths[1] < 0.75 * widths[0]


def test_without_a_donor_a_face_is_blended_with_itself(toy_set: Path) -> None:
    face = read_manifest(toy_set)[0].decode()
    marks = (CANONICAL * face.shape[0] / 112).astype(np.float32)
    stranger = noise_face(2)
    alone = blend(face, marks, "other", np.random.default_rng(1))
    together = blend(face, marks, "other", np.random.default_rng(1), (stranger, MARKS))
    away = [np.abs(fake.image.astype(int) - face).max(axis=2) for fake in (alone, together)]
    assert away[0][alone.mask == 0].max() == 0
    assert 0 < away[0][alone.mask > 0.2].mean() < 0.5 * away[1][together.mask > 0.2].mean()


def test_a_view_keeps_the_face(toy_set: Path) -> None:
    face = read_manifest(toy_set)[0].decode()
    for seed in range(20):
        seen = view(face, np.random.default_rng(seed))
        assert (seen.shape, seen.dtype) == (face.shape, np.uint8)
        assert 0 < np.abs(seen.astype(int) - face).mean() < 40


def pseudo_crops(toy_set: Path, folder: Path, settings: PseudoFakes) -> tuple[Crops, list[Sample]]:
    found = find_samples(
        [item for item in read_manifest(toy_set) if not item.label], jobs=1
    ).samples
    samples = with_pseudo_fakes(found)
    augment = Augment(smallest_px=48)
    return Crops(samples, CropSpec(112, 1.0, 0.6), folder / "x.pack", augment, 3, settings), samples


def test_each_real_face_has_a_fake_twin_with_a_mask(toy_set: Path, tmp_path: Path) -> None:
    crops, samples = pseudo_crops(toy_set, tmp_path, PseudoFakes())
    half = len(samples) // 2
    assert [s.item.label for s in samples] == [0] * half + [1] * half
    # bytes once
    assert (tmp_path / "x.pack").stat().st_size == sum(
        len(s.item.data or b"") for s in samples[:half]
    )
    for index in range(6):
        face, label, mask = crops[(index, 50 + index)]
        assert (face.shape, float(label), float(mask.max())) == ((3, 112, 112), 0.0, 0.0)
        face, label, mask = crops[(half + index, 50 + index)]
        assert (float(label), mask.shape) == (1.0, (24, 24))
        assert float(mask.max()) > 0.1


def test_nothing_but_the_blend_tells_pseudo_fakes_apart(toy_set: Path, tmp_path: Path) -> None:
    """What sees no faces, only facts of files and of pixels as a whole, stays at chance, as the
    audit measures it."""
    crops, samples = pseudo_crops(
        toy_set, tmp_path, PseudoFakes(kinds={"self": 0.5, "other": 0.3, "resample": 0.2})
    )
    half = len(samples) // 2
    items: list[Item] = []
    for number in range(800):
        index = number % half + half * (number // half % 2)
        face, label, _ = crops[(index, number)]
        picture = np.ascontiguousarray(face.numpy().transpose(1, 2, 0))
        items.append(
            Item(f"{number}", int(label), "toy", "train", f"{number}", data=encoded(picture))
        )
    shortcut = measure_shortcut("toy", items, [item_facts(item) for item in items])
    assert shortcut.wrapping[1] <= 0.5 <= shortcut.wrapping[2] + 0.02, shortcut.wrapping
    assert shortcut.pixels[1] < 0.6, shortcut.by_fact
    # and the probe is not blind: it does see fakes that are wrapped otherwise
    worse = [
        replace(item, data=encoded(item.decode()[4:-4, 4:-4])) if item.label else item
        for item in items
    ]
    assert measure_shortcut("toy", worse, [item_facts(item) for item in worse]).wrapping[0] > 0.95
