"""Which frames of a video are looked at: evenly spaced ones first, then where the score changes."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from typing import Generic, TypeVar

from unmask.analysis.timeline import find_segments, where_to_look
from unmask.types import Frame, Score, Settings

HELD_SHARE, MOST_HELD = 8, 8
"""One in so many frames of a video, and at most so many, is held back: looked at last, or given up
for a frame where the score changes, so that the number of frames stays what was asked for."""

LOOK_EVERY_S, MOST_LOOKS = 10.0, 256
"""Where frames grow with the length of a video: the longest time between looks, and the most looks;
from 43 minutes on the time between them grows."""

T = TypeVar("T")


def looks_at(duration_s: float | None, settings: Settings) -> int:
    """How many frames of a video of this length are looked at."""
    if not settings.by_length or not duration_s:
        return settings.frames
    by_length = min(math.ceil(duration_s / LOOK_EVERY_S), MOST_LOOKS)
    return max(settings.frames, by_length)


def longest_gap(times_s: Sequence[float], duration_s: float) -> float:
    """The longest time in which nothing was looked at, in seconds."""
    moments = [0.0, *sorted(times_s), duration_s]
    return max((later - earlier for earlier, later in pairwise(moments)), default=0.0)


def held_back_at_most(frames: int) -> int:
    """How many of `frames` frames are held back."""
    return min(frames // HELD_SHARE, MOST_HELD)


def hold_back(frames: Generator[Frame], held: list[Frame], most: int) -> Generator[Frame]:
    """The frames except for one in HELD_SHARE, at most `most`, which are appended to `held`."""
    with closing(frames):
        for number, frame in enumerate(frames):
            if number % HELD_SHARE == HELD_SHARE // 2 and len(held) < most:
                held.append(frame)
            else:
                yield frame


def where_to_look_again(people: Sequence[Sequence[Score]], count: int) -> list[float]:
    """At most `count` times, in seconds, around the ends of segments that look fake.

    They are shared out among the people who have such segments.
    """
    times_by_person = []
    for scores in people:
        if len(scores) > 1:
            times_by_person.append(where_to_look(find_segments(scores), scores, count))
    with_segments = [times for times in times_by_person if times]
    each = max(1, count // max(1, len(with_segments)))
    chosen = {time for times in with_segments for time in times[:each]}
    return sorted(chosen)[:count]


class StridedSampler(Generic[T]):
    """Keeps at most `most` of the items it is given, spread over all of them.

    Keeps one in so many from the start if `expected` items are to come; when there are too many
    after all, every second, every fourth, … of those.
    """

    def __init__(self, most: int, expected: int = 1) -> None:
        self._most = most
        self._stride = max(1, -(-expected // most))
        self._seen = 0
        self._kept: dict[int, tuple[int, T]] = {}  # by key: its place among all items, and itself

    def due(self) -> bool:
        """Whether the next item would be kept; others need not be made."""
        return self._seen % self._stride == 0

    def add(self, key: int, item: T | None) -> None:
        """The next item; None where it was not due."""
        if item is not None and self.due():
            self._kept[key] = self._seen, item
        self._seen += 1
        while len(self._kept) > self._most:
            self._stride *= 2
            self._kept = {
                kept_key: (place, kept)
                for kept_key, (place, kept) in self._kept.items()
                if place % self._stride == 0
            }

    def kept(self) -> Mapping[int, T]:
        """What is kept, by key."""
        return {key: item for key, (_, item) in self._kept.items()}
