"""Small videos made by code: every frame carries its number, so that a test can tell which ones
were delivered."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

Picture = np.ndarray[Any, np.dtype[np.uint8]]


def numbered(number: int, width: int = 160, height: int = 96) -> Picture:
    """A frame that says `number` (0–1023) in ten bars, black or white, from left to right, lowest
    bit first."""
    image = np.zeros((height, width, 3), np.uint8)
    bars = width // 10
    for bit in range(10):
        if number >> bit & 1:
            image[:, bit * bars : (bit + 1) * bars] = 255
    return image


def number_of(image: Picture) -> int:
    """The number that `numbered` wrote."""
    height, width = image.shape[:2]
    bars = width // 10
    return sum(
        1 << bit for bit in range(10) if image[height // 2, bit * bars + bars // 2].mean() > 127
    )


@contextmanager
def scheduling_kept() -> Iterator[None]:
    """Take back the real-time priority that SVT-AV1 gives to the thread that opens it.

    It does so where the user is root, and never undoes it. All threads started later inherit the
    priority; one that waits by spinning then keeps the one that it waits for off the processor,
    for ever.
    """
    if not hasattr(os, "sched_getscheduler"):  # pragma: no cover - not on Linux
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def write_video(
    path: Path,
    frames: int | Iterable[Picture] = 60,
    *,
    fps: int = 30,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    pts: Sequence[int] | None = None,
    prepare: Callable[[Any], None] = lambda _: None,
    size: tuple[int, int] = (160, 96),
    audio_s: float = 0.0,
) -> Path:
    """A video of numbered frames, or of the pictures given. pts: times of display in units of
    1/fps."""
    pictures = (
        [numbered(i, *size) for i in range(frames)] if isinstance(frames, int) else list(frames)
    )
    with scheduling_kept(), av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(fps), options=options or {})
        stream.height, stream.width = pictures[0].shape[:2] if pictures else size[::-1]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, fps)
        prepare(stream)
        sound: Any = container.add_stream("aac", rate=44100) if audio_s else None
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = pts[number] if pts else number
            frame.time_base = Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            write_sound(container, sound, audio_s)
    return path


def write_sound(container: Any, stream: Any, seconds: float = 0.5) -> None:
    """Silence."""
    for _ in range(int(seconds * 44100 / 1024)):
        frame = av.AudioFrame.from_ndarray(
            np.zeros((2, 1024), np.float32), format="fltp", layout="stereo"
        )
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def turn(path: Path, degrees: int) -> Path:
    """Write a rotation into the track header of an mp4, as phones do: shown turned clockwise by
    `degrees`."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4
    # version, flags, times, ids, layer, volume; then the matrix
    at += 40 if content[at] == 0 else 52
    one = 1 << 16
    a, b, c, d = {
        0: (one, 0, 0, one),
        90: (0, one, -one, 0),
        180: (-one, 0, 0, -one),
        270: (0, -one, one, 0),
    }[degrees]
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path
