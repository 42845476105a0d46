from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from unmask.bundle.card import parse_card
from unmask.bundle.session import Scored, Scorer
from unmask.errors import LabError, ManifestError
from unmask.lab.data.manifest import read_manifest
from unmask.lab.data.samples import Sample, find_samples
from unmask.lab.explanation import pointing_game
from unmask.lab.explanation.pointing_game import (
    PARTS,
    make_fakes,
    measure_for_card,
    measure_maps,
    point,
    untrained_maps,
)
from unmask.testing import FakeScorer, example_card
from unmask.types import Image, Pointing


@pytest.fixture(scope="module")
def reals(toy_set: Path) -> list[Sample]:
    return find_samples(
        [item for item in read_manifest(toy_set) if not item.label][:10], jobs=1
    ).samples


def test_pointing_and_iou_by_hand() -> None:
    masks = np.zeros((2, 4, 4), bool)
    masks[:, :2, :2] = True  # four of sixteen places
    maps = np.zeros((2, 4, 4), np.float32)
    maps[0, :2, :2] = [[4, 3], [2, 1]]  # the four highest are the mask
    maps[1, 2:, 2:] = [[4, 3], [2, 1]]  # the four highest lie opposite
    assert measure_maps(maps, masks) == {"pointing": 0.5, "iou": 0.5}
    # now the highest hits: one of the four highest and the mask in common, seven named by either
    maps[1, 0, 0] = 9
    assert measure_maps(maps, masks) == {"pointing": 1.0, "iou": pytest.approx((1 + 1 / 7) / 2)}


def test_fakes_for_pointing_have_masks(reals: list[Sample]) -> None:
    crops, masks = make_fakes(reals, FakeScorer(), 12)
    assert len(crops) == len(masks) == 12
    assert all(crop.shape == (32, 32, 3) for crop in crops)
    assert masks.any(axis=(1, 2)).all()
    again = make_fakes(reals, FakeScorer(), 12)
    assert np.array_equal(masks, again[1])
    with pytest.raises(ManifestError, match="two real faces"):
        make_fakes(reals[:1], FakeScorer(), 2)


class Bright(FakeScorer):
    """Its heat map is the crop's brightness, 8 × 8 places."""

    def score(self, crops: Sequence[Image], *, explain: bool = False) -> Scored:
        plain = super().score(crops)
        maps = np.stack([crop.mean(axis=2).reshape(8, 4, 8, 4).mean(axis=(1, 3)) for crop in crops])
        return Scored(plain.logits, maps.astype(np.float32) if explain else None, None)


def lit_corners(
    _: Sequence[Sample], scorer: Scorer, count: int, seed: int
) -> tuple[list[Image], np.ndarray]:
    """Dark crops with a light square in some corner, which is what was forged."""
    rng = np.random.default_rng(seed)
    crops = np.full((count, 32, 32, 3), 20, np.uint8)
    masks = np.zeros((count, 32, 32), bool)
    for crop, mask, (y, x) in zip(crops, masks, rng.choice([0, 24], (count, 2)), strict=True):
        crop[y : y + 8, x : x + 8] = 200
        mask[y : y + 8, x : x + 8] = True
    return list(crops), masks


def test_figures_for_the_card(monkeypatch: pytest.MonkeyPatch, reals: list[Sample]) -> None:
    assert measure_for_card(FakeScorer(), reals) is not None
    monkeypatch.setattr(pointing_game, "make_fakes", lit_corners)
    found = measure_for_card(Bright(), reals)
    assert found is not None
    assert found["made_of"] == ["toy"]
    parts = found["parts"]
    assert (parts["faces"], parts["pointing"], parts["middle"]) == (PARTS, 1.0, 0.0)
    assert parts["p"] < 1e-9
    card = parse_card(example_card(heatmaps=found))
    assert card.pointing == Pointing(PARTS, 1.0, 0.0)
    # equal maps everywhere: the first place is the highest, which is luck
    luck = measure_for_card(FakeScorer(), reals)
    assert luck is not None
    assert luck["parts"]["pointing"] < 0.4


def test_a_bundle_without_maps_has_no_figures(reals: list[Sample]) -> None:
    class Blind(FakeScorer):
        def score(self, crops: Sequence[Image], *, explain: bool = False) -> Scored:
            plain = super().score(crops)
            return Scored(plain.logits, plain.logits[:, None, None] if explain else None, None)

    assert measure_for_card(Blind(), reals) is None


def test_a_bundle_beside_those_that_do_not_look(reals: list[Sample], tmp_path: Path) -> None:
    untrained = untrained_maps("test_resnet")
    found = point(FakeScorer(), reals, tmp_path / "out", count=20, untrained=untrained)
    assert set(found) >= {"bundle", "random", "middle", "of_another_face", "untrained"}
    # most masks hold the middle of the face: what a figure must be beside
    assert found["middle"]["pointing"] > 0.5
    assert 0 <= found["random"]["pointing"] <= 1
    assert json.loads((tmp_path / "out" / "heatmaps.json").read_text()) == found
    assert (tmp_path / "out" / "heatmaps.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(LabError):
        untrained_maps("no_such_backbone")
