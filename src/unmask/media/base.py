"""A file that is open for reading frames."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from unmask.errors import TooLargeError
from unmask.types import Frame, Media

DEFAULT_MAX_PIXELS = 100_000_000
"""Pictures and frames with more pixels are refused before memory is taken; 100 megapixels decode to
300 MB."""


def require_pixels(width: int, height: int, most: int, what: str = "") -> None:
    """Raises TooLargeError for more than `most` pixels."""
    if width * height > most:
        raise TooLargeError(
            f"{what}{width}×{height} pixels, more than the {most} that are allowed; raise the"
            " bound with --max-pixels"
        )


class OpenMedia(Protocol):
    """A picture or a video, open.

    Use as a context manager.
    """

    @property
    def media(self) -> Media:
        """What is known of the file so far; complete once `frames` has run out."""

    @property
    def tags(self) -> Mapping[str, str]:
        """What the file says of itself, literally.

        EXIF and text chunks, container and stream metadata.
        """

    def frames(self, count: int, every_s: float | None = None) -> Iterator[Frame]:
        """At most `count` frames, evenly spaced in time over the whole file, each once, in order.

        - every_s: instead, those on show at 0, every_s, 2 · every_s, … seconds

        Raises NoFramesError where not one can be decoded.
        """

    def frames_at(self, times_s: Sequence[float]) -> Iterator[Frame]:
        """The frames on show at these times, each once, in order.

        Only those that `frames` has not given; what cannot be decoded is left out.

        A picture has none.
        """

    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Closing:
    """`with` for sources."""

    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def choose_frames(
    times: Sequence[float], end: float, count: int, every: float | None = None
) -> list[int]:
    """Which frames to look at: the ones on show in the middle of `count` equal spans of time.

    - times: when each frame comes up, rising
    - end: when the last one goes

    Returns rising indices without repeats, so fewer than `count` where one frame stays on show over
    several spans; all frames where there are at most `count`.

    300 frames of 1/30 s and count 8: spans of 1.25 s, their middles at 0.625 s, 1.875 s, … are in
    frames 18, 56, 93, 131, 168, 206, 243, 281.

    - every: instead those on show at every, 2 · every, … after the first, and the first; `count` of
      them at most
    """
    if count < 1:
        raise ValueError(f"the number of frames must be at least 1, but is {count}")
    if every is not None:
        if every <= 0:
            raise ValueError(f"the time between frames must be above 0, but is {every}")
        steps = min(count, 1 + max(0, int((end - times[0]) / every - 1e-9))) if times else 0
        return sorted({bisect_right(times, times[0] + k * every + 1e-9) - 1 for k in range(steps)})
    if len(times) <= count:
        return list(range(len(times)))
    span = (end - times[0]) / count
    chosen = {
        max(0, bisect_right(times, times[0] + (k + 0.5) * span + 1e-9) - 1) for k in range(count)
    }
    return sorted(chosen)
