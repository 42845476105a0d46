"""False alarms among many people: by hand, and in a simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from unmask.analysis.crowd import can_be_chance

RATE, FILES = 0.01, 20_000


def test_one_of_many_must_be_that_many_times_as_strong() -> None:
    assert can_be_chance([9.9], people=10)
    assert not can_be_chance([10.0], people=10)
    assert not can_be_chance([1.0], people=1)


def test_several_need_less_each() -> None:
    # the second strongest reaches half of ten
    assert not can_be_chance([5.0, 5.0], people=10)
    assert can_be_chance([5.0, 4.9], people=10)
    assert not can_be_chance([1.0, 1.0], people=2)


def test_two_fifths_are_no_chance() -> None:
    assert not can_be_chance([1.0] * 8, people=20)
    assert can_be_chance([1.0] * 7, people=20)
    # a large share of few proves nothing
    assert can_be_chance([1.0], people=2)
    assert can_be_chance([1.0] * 3, people=5)
    assert not can_be_chance([1.0] * 4, people=6)


@pytest.mark.parametrize("people", [1, 2, 5, 8, 20, 50])
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6, 0.9, 1.0])
def test_a_crowd_is_a_false_alarm_no_more_often_than_one_face(
    people: int, correlation: float
) -> None:
    """The worst that the threshold allows: p-values as small as it says, of real people who share
    this much of what makes them look fake."""
    rng = np.random.default_rng(people)
    common = rng.standard_normal((FILES, 1))
    own = rng.standard_normal((FILES, people))
    p = norm.sf(np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)
    alarms = sum(
        not can_be_chance(list(RATE / row[row <= RATE]), people) for row in p if (row <= RATE).any()
    )
    # three standard errors are left for chance
    assert alarms / FILES <= RATE + 3 * (RATE * (1 - RATE) / FILES) ** 0.5
