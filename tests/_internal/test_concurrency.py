from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from unmask._internal.concurrency import Clock, ordered_map, prefetch


def test_prefetch_keeps_the_order() -> None:
    assert list(prefetch(range(50), Clock())) == list(range(50))


def test_prefetch_raises_the_error_in_its_place() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise KeyError("two")

    items = prefetch(broken(), Clock())
    assert next(items) == 1
    with pytest.raises(KeyError, match="two"):
        next(items)


def test_prefetch_stays_a_few_ahead() -> None:
    made = []

    def count() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    items = prefetch(count(), Clock(), depth=3)
    next(items)
    time.sleep(0.1)
    assert made == [0, 1, 2, 3]  # one taken, three waiting
    items.close()


def test_closing_stops_the_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    before = threading.active_count()
    items = prefetch(endless(), Clock())
    next(items)
    items.close()
    assert closed.is_set()
    assert threading.active_count() == before


def test_the_clock_counts_work_not_waiting() -> None:
    clock = Clock()
    for _ in prefetch(range(3), clock, depth=1):
        time.sleep(0.05)
    assert clock.seconds < 0.05


@pytest.mark.parametrize("jobs", [1, 4])
def test_ordered_map_keeps_the_order(jobs: int) -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.02 if number % 4 == 0 else 0)
        return number * number

    assert list(ordered_map(slow_first, range(30), jobs, ahead=8)) == [n * n for n in range(30)]


def test_ordered_map_reads_only_a_little_ahead() -> None:
    taken = []

    def numbers() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = ordered_map(lambda n: n, numbers(), 2, ahead=5)
    next(results)
    assert len(taken) <= 7
    results.close()


def test_ordered_map_raises_errors() -> None:
    with pytest.raises(ZeroDivisionError):
        list(ordered_map(lambda n: 1 // n, [1, 0, 2], 2, ahead=2))
