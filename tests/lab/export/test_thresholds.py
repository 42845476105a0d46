"""Thresholds hold their rates; sets too small to be counted by themselves are counted as one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unmask.errors import LabError
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
    crops = [np.zeros((1, 1, 3), np.uint8)] * len(labels)
    return Faces(crops, labels, datasets, zeros, zeros, np.arange(len(labels)))


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


def test_faces_that_the_gates_refuse_choose_nothing_else() -> None:
    # blurred real faces look fake; a scan does not judge them, so they must not count
    several = faces(("clear", 0, 300), ("blurred", 0, 100), ("swaps", 1, 300))
    rng = np.random.default_rng(0)
    logits = np.concatenate([rng.normal(-2, 1, 300), rng.normal(4, 1, 100), rng.normal(2, 1, 300)])
    sharpness = np.where(several.datasets == "blurred", 10.0, 100.0)
    several = replace(several, brightness=np.full(700, 100.0), sharpness=sharpness)
    rules = Rules.of(load_recipe("unmask-lite0-student"))
    without = replace(rules, gates=rules.gates.model_copy(update={"min_sharpness": 0.0}))
    chosen = choose(several, logits, rules)
    assert chosen["gates"]["min_sharpness"] == rules.gates.min_sharpness == 15
    assert set(chosen["thresholds"]["fake"]["by_data_set"]) == {"clear"}
    assert set(choose(several, logits, without)["thresholds"]["fake"]["by_data_set"]) == {
        "blurred",
        "clear",
    }

    # a card's own gates take the place of the rules'
    open_gates = {**chosen["gates"], "min_sharpness": 0.0}
    kept = choose(several, logits, rules, open_gates)
    assert kept["gates"] == open_gates
    assert set(kept["thresholds"]["fake"]["by_data_set"]) == {"blurred", "clear"}


def test_gates_that_leave_no_face_are_an_error() -> None:
    rules = Rules.of(load_recipe("unmask-lite0-student"))
    blurred = faces(("a", 0, 20), ("b", 1, 20))  # of sharpness 0
    with pytest.raises(LabError, match=r"lower gates\.min_sharpness"):
        choose(blurred, np.linspace(-1, 1, 40), rules)
