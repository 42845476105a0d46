"""Looking closer only where it pays: a frame of a video shows much the same as the one before.

In 4K video a closer look at every frame costs several times what all the rest does.
"""

from __future__ import annotations

from unmask.faces.base import FaceFinder, TwoStepFinder, most_confident
from unmask.types import Face, Frame

AT_FIRST, THEN_EVERY = 2, 4
"""Frames of a file that are looked at closer in any case; then one in so many, until one shows
faces that were not seen at first. From there on each is, as long as they do."""


class SparingFinder:
    """Finds the faces in the frames of one file, one frame after the other."""

    def __init__(self, finder: FaceFinder) -> None:
        self.name = finder.name
        self._finder = finder
        self._frame: int | None = None
        self._frames = 0
        self._closer = True
        self._found_small = False

    def find(self, frame: Frame) -> list[Face]:
        """The faces; a view of the same frame is looked at as closely as the frame was."""
        if not isinstance(self._finder, TwoStepFinder):
            return self._finder.find(frame)
        if frame.index != self._frame:
            self._begin(frame.index)
        large = self._finder.find_large(frame)
        if not self._closer:
            return large
        small = self._finder.find_small(frame, large)
        self._found_small = self._found_small or bool(small)
        return most_confident([*large, *small])

    def _begin(self, index: int) -> None:
        """Decide how closely the next frame is looked at."""
        self._frame = index
        in_turn = self._frames < AT_FIRST or self._frames % THEN_EVERY == 0
        self._closer = in_turn or (self._closer and self._found_small)
        self._found_small = False
        self._frames += 1
