from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from unmask.detector import Detector
from unmask.errors import ManifestError
from unmask.lab.data.manifest import Item, read_manifest
from unmask.lab.evaluation.robustness import STRESSES, draw, stress
from unmask.media import through_h264
from unmask.testing import FakeFinder, FakeScorer
from unmask.types import Image


def picture(seed: int = 0, side: int = 96) -> Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), np.uint8))


@pytest.mark.parametrize("name", STRESSES)
def test_each_stress_changes_more_with_its_strength(name: str) -> None:
    kind = STRESSES[name]
    assert len(kind.strengths) == 5
    changes = []
    for strength in kind.strengths:
        seen = kind.apply(picture(), strength)
        assert seen.dtype == np.uint8
        assert seen.shape[0] == seen.shape[1]
        if seen.shape == picture().shape:
            changes.append(np.abs(seen.astype(int) - picture()).mean())
        else:
            changes.append(1000 - seen.shape[0])  # the smaller, the worse
    if name != "gamma":  # whose strengths go both ways
        assert changes == sorted(changes)
    assert changes[-1] > changes[0]


def test_h264_keeps_odd_sizes_and_loses_more_at_a_coarser_rate() -> None:
    image = picture(1, 96)[:95, :71]
    fine, coarse = (np.abs(through_h264(image, crf).astype(int) - image).mean() for crf in (18, 40))
    assert through_h264(image, 30).shape == (95, 71, 3)
    assert fine < coarse


def test_rows_are_drawn_half_of_each_class() -> None:
    items = [Item(str(i), int(i % 5 == 0), "a", "test", str(i)) for i in range(100)]
    drawn = draw(items, 20)
    assert [sum(item.label == label for item in drawn) for label in (0, 1)] == [10, 10]
    assert draw(items, 20) == drawn
    assert [int(item.name) for item in drawn] == sorted(int(item.name) for item in drawn)
    assert sum(item.label for item in draw(items, 90)) == 20  # all there are


def test_the_table(toy_set: Path, tmp_path: Path) -> None:
    """The stand-in scores by brightness, so gamma moves verdicts and JPEG hardly does."""
    items, done = read_manifest(toy_set)[:24], []
    rows = stress(
        Detector(FakeScorer(), FakeFinder()),
        items,
        tmp_path / "out",
        rows=16,
        jobs=1,
        advance=lambda: done.append(1),
    )
    assert len(done) == len(rows) == 1 + 5 * len(STRESSES)
    assert rows[0]["n"] == 16
    by_name = {name: [row for row in rows if row["stress"] == name] for name in STRESSES}
    assert max(row["flipped"] for row in by_name["jpeg"][:3]) < max(
        row["flipped"] for row in by_name["gamma"]
    )
    for row in rows[1:]:
        assert row["change"] == pytest.approx(row["auc"] - rows[0]["auc"])
        assert 0 <= row["reversed"] <= row["flipped"] <= 1
        assert 0 <= row["accused"] <= 1
    assert json.loads((tmp_path / "out" / "stress.json").read_text())["rows"] == rows
    with (tmp_path / "out" / "stress.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(rows)
    assert (tmp_path / "out" / "stress.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ManifestError, match="0 fake"):
        stress(Detector(FakeScorer(), FakeFinder()), [i for i in items if not i.label], tmp_path)
