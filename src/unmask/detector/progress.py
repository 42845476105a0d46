"""The progress of a scan, for those who wait for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from unmask.types import Score


class Stage(StrEnum):
    """What is being done with a file."""

    OPENING = "opening"
    LOOKING = "looking"
    CHECKING = "checking"
    EXPLAINING = "explaining"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan has come.

    - stage: what is being done
    - frames: looked at so far
    - frames_asked: how many will be looked at, at most
    - faces: found so far
    - scores: time in seconds and probability of fake of the faces judged since the last one
    """

    stage: Stage
    frames: int = 0
    frames_asked: int = 1
    faces: int = 0
    scores: tuple[tuple[float, float], ...] = ()


OnProgress = Callable[[Progress], None]
"""Is told of each step of a scan; what it raises ends the scan."""


class ProgressReporter:
    """Counts what was looked at, and tells `on_progress`, if there is one.

    - frames: looked at so far
    - faces: found so far
    - frames_expected: how many will be looked at, at most
    """

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self.frames = 0
        self.faces = 0
        self.frames_expected = 1

    def enter(self, stage: Stage, scores: Sequence[Score] = ()) -> None:
        """A stage begins or goes on; scores: of faces that were judged since the last call."""
        if self._on_progress is None:
            return
        judged = tuple(
            (score.face.time_s, score.probability_fake)
            for score in scores
            if score.probability_fake is not None
        )
        self._on_progress(Progress(stage, self.frames, self.frames_expected, self.faces, judged))
