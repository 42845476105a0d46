"""Thresholds hold their rates; sets too small to be counted by themselves are counted as one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unmask.lab.export.thresholds import (
    SMALL_SETS,
    Faces,
    Rules,
    balanced_weights,
    choose,
    joined_small_sets,
)
from unmask.lab.recipe import load_recipe


def faces(*sets: tuple[str, int, int]) -> Faces:
    """sets: name, label, how many."""
    labels = np.concatenate([np.full(count, label) for _, label, count in sets])
    datasets = np.concatenate([np.full(count, name) for name, _, count in sets])
    zeros = np.zeros(len(labels))
    return Faces([], labels, datasets, zeros, zeros, np.arange(len(labels)))


def test_small_sets_are_joined_by_class() -> None:
    several = faces(("large", 0, 5), ("small", 0, 2), ("tiny", 0, 1), ("small", 1, 5))
    joined = joined_small_sets(several, smallest=3)
    assert joined.tolist() == ["large"] * 5 + [SMALL_SETS] * 3 + ["small"] * 5


def test_sets_of_a_class_weigh_the_same_and_so_do_the_classes() -> None:
    several = faces(("a", 0, 1), ("b", 0, 3), ("a", 1, 4))
    weights = balanced_weights(several.labels, several.datasets)
    assert (weights[:4].sum(), weights[4:].sum()) == pytest.approx((4, 4))
    assert (weights[0], weights[1:4].sum()) == pytest.approx((2, 2))


def test_no_data_set_has_more_false_alarms_than_the_recipe_allows() -> None:
    # 204 real faces of one source: two of them are 1 %, a third would be 1.5 %
    several = faces(("studio", 0, 204), ("street", 0, 300), ("swaps", 1, 200))
    rng = np.random.default_rng(0)
    logits = np.concatenate([rng.normal(-1, 1, 204), rng.normal(-3, 1, 300), rng.normal(2, 1, 200)])
    several = replace(several, brightness=logits * 0 + 100, sharpness=logits * 0 + 100)
    recipe = load_recipe("unmask-lite0-student")
    chosen = choose(several, logits, Rules.of(recipe))["thresholds"]
    by_set = chosen["fake"]["by_data_set"]
    assert (by_set["studio"]["n"], by_set["studio"]["wrong"]) == (204, 2)
    assert by_set["street"]["wrong"] <= 3
    assert chosen["real"]["by_data_set"]["swaps"]["wrong"] == 200 * 0.15
