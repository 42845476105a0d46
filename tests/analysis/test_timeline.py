"""The course of a probability, and segments, by hand."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest

from unmask.analysis.timeline import combine, find_segments, trace, where_to_look
from unmask.types import Face, Score


def seen(*probabilities: float | None, step: float = 0.5) -> list[Score]:
    return [
        Score(Face(n, n * step, (0, 0, 9, 9), 0.9), None if p is None else log(p / (1 - p)), p)
        for n, p in enumerate(probabilities)
    ]


def test_fake_in_the_middle() -> None:
    scores = seen(*[0.05] * 6, *[0.97] * 6, *[0.05] * 8)
    (segment,) = find_segments(scores)
    # halfway between frames 5 and 6, and 11 and 12
    assert (segment.start_s, segment.end_s) == (
        2.75,
        5.75,
    )
    assert segment.within_s == 0.25
    assert segment.faces == 6
    assert segment.share == pytest.approx(0.3)
    assert segment.probability_fake == pytest.approx(0.97)


def test_fake_throughout_and_never() -> None:
    (segment,) = find_segments(seen(*[0.9] * 8))
    assert (segment.start_s, segment.end_s, segment.share) == (0.0, 3.5, 1.0)
    assert find_segments(seen(*[0.1] * 8)) == ()
    assert find_segments([]) == ()
    assert find_segments(seen(None, None)) == ()


def test_one_frame_makes_no_segment_whatever_it_shows() -> None:
    assert find_segments(seen(*[0.05] * 5, 0.999, *[0.05] * 5)) == ()
    assert find_segments(seen(*[0.05] * 5, 0.999, 0.999, *[0.05] * 5)) == ()


def test_one_real_frame_does_not_cut_a_segment() -> None:
    (segment,) = find_segments(seen(*[0.05] * 5, *[0.95] * 4, 0.05, *[0.95] * 4, *[0.05] * 5))
    assert segment.faces == 9


@pytest.mark.parametrize("first", [0, 3, 7])
@pytest.mark.parametrize("length", [3, 5, 10])
def test_a_segment_is_found_within_a_step(first: int, length: int) -> None:
    values = [0.08] * 20
    values[first : first + length] = [0.95] * length
    (segment,) = find_segments(seen(*values))
    assert abs(segment.start_s - first * 0.5) <= 0.5
    assert abs(segment.end_s - (first + length - 1) * 0.5) <= 0.5


def test_the_likeliest_course_is_the_likeliest() -> None:
    """Against all 2^10 courses, by their costs."""
    from itertools import pairwise, product

    from unmask.analysis.timeline import SWITCH, _likeliest

    rng = np.random.default_rng(3)
    for _ in range(20):
        odds = rng.normal(0, 2.5, 10).tolist()

        def worth(states: tuple[bool, ...], odds: list[float] = odds) -> float:
            changes = sum(a != b for a, b in pairwise(states))
            return sum(o for o, s in zip(odds, states, strict=True) if s) - SWITCH * changes

        best = max(product((False, True), repeat=10), key=worth)
        assert worth(tuple(_likeliest(odds))) == pytest.approx(worth(best))


def test_the_course_follows_the_faces_and_its_interval_narrows_where_they_agree() -> None:
    moments = trace(seen(*[0.1] * 10, *[0.9] * 10), 0.5)
    assert len(moments) == 20
    assert moments[0].probability_fake == pytest.approx(0.1, abs=0.01)
    assert moments[-1].probability_fake == pytest.approx(0.9, abs=0.01)
    assert all(m.low <= m.probability_fake <= m.high for m in moments)
    assert moments[9].high - moments[9].low > moments[0].high - moments[0].low


def test_a_constant_course_has_no_width() -> None:
    for moment in trace(seen(*[0.3] * 5), 0.5):
        assert (moment.low, moment.probability_fake, moment.high) == pytest.approx((0.3, 0.3, 0.3))
    assert trace(seen(0.3), 0.5) == ()


def test_the_interval_holds_the_truth() -> None:
    """The mean log-odds of many noisy clips lies within the 95 % interval about that often."""
    rng, inside = np.random.default_rng(1), []
    for _ in range(200):
        values = 1 / (1 + np.exp(-rng.normal(1.0, 0.7, 24)))
        moment = trace(seen(*values.tolist()), 0.5)[12]
        inside.append(moment.low <= 1 / (1 + exp(-1.0)) <= moment.high)
    assert 0.85 <= np.mean(inside) <= 1.0


def test_looks_go_where_segments_end() -> None:
    scores = seen(*[0.05] * 6, *[0.97] * 6, *[0.05] * 8)
    times = where_to_look(find_segments(scores), scores, 4)
    assert times == pytest.approx([2.5 + 0.5 / 3, 2.5 + 1 / 3, 5.5 + 0.5 / 3, 5.5 + 1 / 3])
    assert where_to_look((), scores, 4) == []
    whole = seen(*[0.97] * 6)
    assert where_to_look(find_segments(whole), whole, 4) == []


def test_combining_is_one_with_the_verdict() -> None:
    assert combine([0.9, 0.5]) == pytest.approx(0.75)
