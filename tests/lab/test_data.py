from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from unmask.lab.data import Draws, sample_weights
from unmask.lab.manifest import Item
from unmask.lab.prepare import Sample


def samples(*rows: tuple[str, int, int]) -> list[Sample]:
    """rows: data set, label, how many."""
    marks = np.zeros((5, 2), np.float32)
    return [Sample(Item(f"{d}{i}", label, d, "train", d), marks) for d, label, count in rows for i in range(count)]


def test_both_classes_are_drawn_equally_by_hand() -> None:
    weights = sample_weights(samples(("a", 0, 3), ("a", 1, 1)), {})
    assert weights == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_data_sets_are_drawn_by_their_weights_within_a_class() -> None:
    # reals: a (2) and b (6), weights 3 to 1; fakes: a only
    weights = sample_weights(samples(("a", 0, 2), ("b", 0, 6), ("a", 1, 4)), {"a": 3, "b": 1})
    assert weights[:2] == pytest.approx([0.5 * 0.75 / 2] * 2)
    assert weights[2:8] == pytest.approx([0.5 * 0.25 / 6] * 6)
    assert weights[8:] == pytest.approx([0.5 / 4] * 4)
    assert weights.sum() == pytest.approx(1)


def test_draws_follow_the_weights_and_repeat() -> None:
    weights = np.array([0.5, 0.25, 0.125, 0.125])
    drawn = list(Draws(weights, 800, seed=3))
    counts = Counter(index for index, _ in drawn)
    assert [counts[i] for i in range(4)] == pytest.approx([400, 200, 100, 100], abs=60)
    assert [number for _, number in drawn] == list(range(800))
    assert drawn == list(Draws(weights, 800, seed=3))
    assert drawn != list(Draws(weights, 800, seed=4))


def test_equal_weights_show_every_sample_once_a_round() -> None:
    drawn = [index for index, _ in Draws(np.full(50, 0.02), 100, seed=0)]
    assert sorted(drawn[:50]) == list(range(50))
    assert sorted(drawn[50:]) == list(range(50))
