"""A closer look at frames of a video only where it pays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unmask.faces.base import TwoStepFinder
from unmask.faces.sparing import SparingFinder
from unmask.faces.yunet import YuNet
from unmask.testing import FakeFinder
from unmask.types import Face, Frame


class TwoSteps:
    """Sees one face at first, and a small one closer, in the frames that have it."""

    name = "two-steps"

    def __init__(self, with_small: Sequence[int]) -> None:
        self.with_small = set(with_small)
        self.closer: list[int] = []

    def find(self, frame: Frame) -> list[Face]:
        raise AssertionError("both steps are asked for apart")

    def find_large(self, frame: Frame) -> list[Face]:
        return [Face(frame.index, frame.time_s, (0, 0, 90, 90), 0.9, None)]

    def find_small(self, frame: Frame, large: Sequence[Face]) -> list[Face]:
        assert len(large) == 1
        self.closer.append(frame.index)
        small = Face(frame.index, frame.time_s, (200, 0, 250, 50), 0.8, None)
        return [small] if frame.index in self.with_small else []


def look_at(finder: TwoSteps, frames: int) -> list[int]:
    """How many faces each frame shows."""
    sparing = SparingFinder(finder)
    image = np.zeros((8, 8, 3), np.uint8)
    return [len(sparing.find(Frame(n, float(n), image))) for n in range(frames)]


def test_two_frames_and_then_every_fourth_are_looked_at_closer() -> None:
    finder = TwoSteps(with_small=[])
    assert look_at(finder, 12) == [1] * 12
    assert finder.closer == [0, 1, 4, 8]


def test_where_a_small_face_was_found_the_next_frame_is_looked_at_closer() -> None:
    finder = TwoSteps(with_small=[4, 5, 6])
    assert look_at(finder, 10) == [1, 1, 1, 1, 2, 2, 2, 1, 1, 1]
    assert finder.closer == [0, 1, 4, 5, 6, 7, 8]


def test_views_of_a_frame_are_looked_at_as_it_was() -> None:
    finder = TwoSteps(with_small=[])
    sparing = SparingFinder(finder)
    image = np.zeros((8, 8, 3), np.uint8)
    for number in (0, 0, 0, 1, 2, 2):
        sparing.find(Frame(number, 0.0, image))
    assert finder.closer == [0, 0, 0, 1]


def test_other_finders_are_asked_as_they_are() -> None:
    sparing = SparingFinder(FakeFinder((0, 0, 10, 10)))
    assert sparing.name == "fake"
    assert len(sparing.find(Frame(0, 0.0, np.zeros((20, 20, 3), np.uint8)))) == 1
    assert isinstance(YuNet(), TwoStepFinder)
