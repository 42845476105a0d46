"""Figures source by source, by hand, and a recipe trained without each source in turn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.lab import TINY
from unmask.errors import ManifestError
from unmask.lab.data.manifest import Item, read_manifest
from unmask.lab.evaluation import leave_out
from unmask.lab.evaluation.leave_out import folds_of, leave_sources_out
from unmask.lab.evaluation.sources import SMALLEST, by_source, summary
from unmask.lab.recipe import load_recipe


def rows(name: str, label: int, count: int) -> list[Item]:
    return [Item(f"{name}{i}", label, name, "test", f"{name}{i}") for i in range(count)]


def test_each_source_against_each_of_the_other_class_by_hand() -> None:
    n = SMALLEST
    items = [
        *rows("gan", 1, n + 1),
        *rows("press", 0, n),
        *rows("studio", 0, n),
        *rows("few", 0, 2),
    ]
    # fakes at 0.6; press below all of them, studio half below and half above; one fake not judged
    scores = np.concatenate(
        [[np.nan], np.full(n, 0.6), np.full(n, 0.1), np.tile([0.2, 0.9], n // 2), [0.7, 0.7]]
    )
    figures = by_source(items, scores, real_threshold=0.2, fake_threshold=0.8, left_out={"studio"})
    gan, few, studio, press = figures
    assert [one.source for one in figures] == ["gan", "few", "studio", "press"]
    assert gan.n == n
    assert gan.auc_mean == pytest.approx((1 + 0.5) / 2)  # nobody is measured against two faces
    assert (gan.auc_lowest, gan.against) == (0.5, "studio")
    assert (gan.wrong, gan.undecided) == (0.0, 1.0)
    assert (studio.auc_mean, studio.wrong, studio.undecided) == (0.5, 0.5, 0.0)
    assert (studio.left_out, press.left_out) == (True, False)
    assert (few.n, few.auc_mean) == (2, 0.0)
    totals = summary(figures)
    assert totals["real"]["worst"] == "studio"
    assert totals["real"]["sources"] == 2  # `few` is too small to count
    assert totals["real"]["wrong_worst"] == 0.5
    assert totals["fake"]["auc_mean"] == gan.auc_mean


def test_a_source_without_an_opposite_has_no_auc() -> None:
    (only,) = by_source(rows("gan", 1, 3), np.full(3, 0.5), real_threshold=0.2, fake_threshold=0.8)
    assert (only.auc_mean, only.auc_lowest, only.against) == (None, None, "")
    assert summary([only]) == {}


def test_folds_hold_each_source_once_and_both_classes() -> None:
    items = [
        row
        for number, size in enumerate((9, 7, 5, 3))
        for row in (*rows(f"fake{number}", 1, size), *rows(f"real{number}", 0, size))
    ]
    folds = folds_of(items, 3)
    assert sorted(name for fold in folds for name in fold) == sorted(
        {item.dataset for item in items}
    )
    assert all({name[:4] for name in fold} == {"fake", "real"} for fold in folds)
    assert len(folds_of(items, 0)) == 8
    with pytest.raises(ManifestError, match="at least two data sets"):
        folds_of(rows("gan", 1, 3), 0)


@pytest.fixture(scope="module")
def two_sources(toy_set: Path) -> list[Item]:
    items = read_manifest(toy_set)
    groups = sorted({item.group for item in items})
    second = set(groups[::2])
    return [replace(item, dataset="second" if item.group in second else "first") for item in items]


def test_each_source_is_measured_by_a_run_that_has_not_seen_it(
    two_sources: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe(
        "unmask-lite0", [*TINY, "train={epochs: 1, batch: 8, learning_rate: 0.001}"]
    )
    result = leave_sources_out(recipe, two_sources, tmp_path, jobs=1)
    assert result["folds"] == [["first"], ["second"]]
    for number, name in ((1, "first"), (2, "second")):
        run = json.loads((tmp_path / f"fold-0{number}" / "run.json").read_text())
        assert run["recipe"]["data"]["leave_out"] == [name]
        assert name not in {row["dataset"] for row in run["counts"]}
    measured = {(row["source"], row["label"]): row for row in result["sources"]}
    assert set(measured) == {(s, c) for s in ("first", "second") for c in ("fake", "real")}
    assert all(row["left_out"] for row in measured.values())
    wanted = sum(item.dataset == "first" and item.label for item in two_sources)
    assert measured["first", "fake"]["n"] == wanted
    assert (tmp_path / "leave_out.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "leave_out.csv").read_text().startswith("source,label,n,")

    # A second call trains and measures nothing again.
    monkeypatch.setattr(leave_out, "train", None)
    assert leave_sources_out(recipe, two_sources, tmp_path, jobs=1) == result
