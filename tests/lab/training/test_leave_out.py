"""A recipe trained without each source in turn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.lab import TINY
from unmask.errors import ManifestError
from unmask.lab.data.manifest import Item, read_manifest
from unmask.lab.recipe import load_recipe
from unmask.lab.training import leave_out
from unmask.lab.training.leave_out import folds_of, leave_sources_out


def rows(name: str, label: int, count: int) -> list[Item]:
    return [Item(f"{name}{i}", label, name, "test", f"{name}{i}") for i in range(count)]


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
