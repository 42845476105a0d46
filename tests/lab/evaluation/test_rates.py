"""Thresholds that hold a rate, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from unmask.lab.evaluation.rates import threshold_held


@pytest.mark.parametrize(
    ("count", "share", "reached_by"),
    [(100, 0.01, 1), (204, 0.01, 2), (657, 0.01, 6), (99, 0.01, 0), (20, 0.05, 1), (131, 0.05, 6)],
)
def test_at_most_the_share_reaches_it(count: int, share: float, reached_by: int) -> None:
    values = np.random.default_rng(0).permutation(np.linspace(0.1, 0.9, count))
    threshold = threshold_held(values, share)
    assert int((values >= threshold).sum()) == reached_by
    # and the next value below would let one more through
    assert int((values >= values[values < threshold].max()).sum()) == reached_by + 1


def test_values_that_are_alike_stay_below_together() -> None:
    values = np.array([0.2] * 90 + [0.7] * 9 + [0.9])
    assert threshold_held(values, 0.01) == 0.9
    assert threshold_held(values, 0.05) == 0.9  # five of the nine may not be told from the others
    assert threshold_held(values, 0.10) == 0.7
    assert threshold_held(np.array([0.5] * 10), 0.5) == pytest.approx(0.5)
    assert threshold_held(np.array([0.5] * 10), 0.5) > 0.5
