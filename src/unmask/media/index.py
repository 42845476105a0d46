"""Where the frames of a video are, read from its packets without decoding any."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av

SEEK_WORTH = 16
"""Frames to be passed over before seeking pays: a seek empties the decoder, which costs about as
much as these."""

JUMPING = frozenset({"mpegts", "mpeg", "mpegvideo", "flv", "asf"})
"""Containers made for broadcasts and streams: a long step forwards is a clock that was set anew."""

CLOCK_BACK_S, CLOCK_AHEAD_S = Fraction(1, 2), Fraction(10)
"""Steps from one packet to the next that no going clock makes: back, and ahead."""


@dataclass(frozen=True, slots=True)
class Index:
    """Where the frames are, read from the packets without decoding.

    - pts: times of display in units of time_base, rising
    - keys: those of the key frames
    - end: when the last one goes
    - restarts: empty, unless the clock begins anew or jumps: for each time that a frame is marked
      with, the times that go on for the frames marked so, in the order in which they are decoded
    """

    pts: tuple[int, ...]
    keys: tuple[int, ...]
    end: int
    time_base: Fraction
    restarts: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


def plan(wanted: Sequence[int], index: Index) -> list[tuple[int | None, list[int]]]:
    """How to read: runs of (key frame to seek to, or None to read on; frames wanted in the run).

    A new run begins where at least SEEK_WORTH frames lie between the last wanted frame and the key
    frame of the next.
    """
    runs: list[tuple[int | None, list[int]]] = []
    position = index.pts[0]
    for pts in wanted:
        place = bisect_right(index.keys, pts) - 1
        key = index.keys[place] if place >= 0 else index.pts[0]
        passed = bisect_right(index.pts, key) - bisect_right(index.pts, position)
        if passed > SEEK_WORTH:
            runs.append((key, [pts]))
        elif runs:
            runs[-1][1].append(pts)
        else:
            runs.append((None, [pts]))
        position = pts
    return runs


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a file goes, by its packets.

    - packets: of the stream of pictures
    - reached_s: the end of the last packet, sound included: a header gives the length of the
      longest stream, so only all of them together show whether the file is truncated
    - broken_at: the byte behind which nothing could be read, or None where the file ends in order
    """

    packets: int
    reached_s: float
    broken_at: int | None


def read_index(container: Any, stream: Any) -> tuple[Index, Extent]:
    """Where the frames are, and how far the file goes.

    Frames that an edit list hides are decoded, for others refer to them, but they are not on show
    and not in the index.
    """
    clock = GoingOnClock(stream.time_base, may_jump=container.format.name in JUMPING)
    count, dated, reached = 0, True, 0.0
    read_to, broken_at = 0, None
    start = (container.start_time or 0) / av.time_base
    rate = stream.average_rate or stream.guessed_rate
    frame_s = float(1 / rate) if rate else 0.0
    try:
        for packet in container.demux(stream, *container.streams.audio):
            if packet.size == 0:  # the flush packet at the end
                continue
            read_to = max(read_to, (packet.pos or 0) + packet.size)
            at = packet.pts if packet.pts is not None else packet.dts
            if at is not None:
                lasts = float((packet.duration or 0) * packet.time_base) or frame_s
                reached = max(reached, float(at * packet.time_base) - start + lasts)
            if packet.stream_index != stream.index:
                continue
            count += 1
            if packet.pts is None:
                dated = False
            else:
                clock.add(packet)
    except av.FFmpegError:
        broken_at = read_to  # what came before is judged
    index = clock.index() if dated else Index((), (), 0, stream.time_base)
    return index, Extent(count, reached, broken_at)


class GoingOnClock:
    """Times of packets, which go on where the file's clock begins anew or jumps.

    Joined recordings, TV captures and DVD files have such clocks.
    """

    def __init__(self, time_base: Fraction, *, may_jump: bool) -> None:
        """Nothing yet.

        - may_jump: whether a long step forwards is a fault of the clock, and no long pause
        """
        self._time_base = time_base
        self._back = round(CLOCK_BACK_S / time_base)
        self._ahead = round(CLOCK_AHEAD_S / time_base) if may_jump else None
        self._offset = 0
        self._restarted = False
        self._decoded_at: int | None = None  # of the packet before, by the file's clock
        self._pts: list[int] = []
        self._keys: list[int] = []
        self._end = 0
        self._going_on: dict[int, list[int]] = {}  # by the file's clock

    def add(self, packet: Any) -> None:
        """The next packet of the stream."""
        at = packet.dts if packet.dts is not None else packet.pts
        if self._decoded_at is not None and self._is_jump(at - self._decoded_at):
            # this stretch begins when the one before ends
            self._offset = self._end - packet.pts
            self._restarted = True
        self._decoded_at = at
        pts = packet.pts + self._offset
        if packet.is_keyframe:
            self._keys.append(packet.pts)
        if packet.is_discard:
            return
        self._pts.append(pts)
        self._end = max(self._end, pts + (packet.duration or 0))
        self._going_on.setdefault(packet.pts, []).append(pts)

    def index(self) -> Index:
        """Of all packets so far."""
        pts = sorted(set(self._pts))
        end = self._end
        if pts and end <= pts[-1]:
            # no durations: the last frame stays as long as the one before
            end = pts[-1] + (pts[-1] - pts[-2] if len(pts) > 1 else 1)
        restarts = {marked: tuple(times) for marked, times in self._going_on.items()}
        return Index(
            tuple(pts),
            tuple(sorted(self._keys)),
            end,
            self._time_base,
            restarts if self._restarted else {},
        )

    def _is_jump(self, step: int) -> bool:
        return step < -self._back or (self._ahead is not None and step > self._ahead)
