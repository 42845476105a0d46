"""Data sets too small to be counted by themselves are counted as one."""

from __future__ import annotations

import numpy as np
import pytest

from unmask.lab.export.thresholds import SMALL_SETS, Faces, balanced_weights, joined_small_sets


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
