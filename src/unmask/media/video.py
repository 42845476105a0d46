"""Videos by PyAV (FFmpeg)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from unmask.errors import NoFramesError, NoVideoError, TooLargeError, UnknownFormatError
from unmask.media.base import Closing, choose_frames
from unmask.types import Frame, Image, Media, Part, Unseen

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,asf,flv,ogg,mxf,yuv4mpegpipe,"
    "h264,hevc,m4v,ivf,obu,mjpeg,gif,apng,wav,mp3,aac,flac"
)
"""What FFmpeg is allowed to try. Playlists (which fetch other files) and text art are not; sound
is, to say so."""

SEEK_WORTH = 16
"""Frames to be passed over before seeking pays: a seek empties the decoder, which costs about as
much as these."""

SKIPPABLE = frozenset({"h264", "hevc", "mpeg2video", "mpeg4"})
"""Codecs whose decoders heed skip_frame packet by packet. dav1d (AV1) applies it to frames already
under way."""


@dataclass(frozen=True, slots=True)
class Index:
    """Where the frames are, read from the packets without decoding.

    - pts: times of display in units of time_base, rising
    - keys: those of the key frames
    - end: when the last one goes
    """

    pts: tuple[int, ...]
    keys: tuple[int, ...]
    end: int
    time_base: Fraction


class Video(Closing):
    """A video.

    It is read on where that is cheaper, and sought in where the next wanted frame lies past the
    next key frame.

    Frames that nothing refers to and nobody asked for are not decoded at all (their packets say
    so).
    """

    def __init__(
        self,
        path: Path,
        sha256: str,
        max_pixels: int,
        threads: int = 0,
        demuxer: str | None = None,
    ) -> None:
        self._path, self._threads, self._demuxer = path, threads, demuxer
        self._shown: set[int] = set()
        self._broken = 0  # frames that were wanted and could not be had
        container, stream = self._open()
        with container:
            width, height = stream.codec_context.width, stream.codec_context.height
            if width * height > max_pixels:
                raise TooLargeError(
                    f"frames of {width}×{height} pixels, more than the {max_pixels} that are"
                    " allowed; raise the bound with --max-pixels"
                )
            declared = container.duration / av.time_base if container.duration else 0.0
            self._shape = Fraction(stream.sample_aspect_ratio or 1)
            fps = stream.average_rate or stream.guessed_rate
            self.tags: Mapping[str, str] = {
                **stream.metadata,
                **container.metadata,
                "format": container.format.name,
                "codec": stream.codec_context.name,
            }
            self._index, self._packets, reached = _read_index(container, stream)
        self._fps = fps
        base = self._index.time_base
        seen = (
            float((self._index.end - self._index.pts[0]) * base)
            if self._index.pts
            else self._packets / float(fps or 25)
        )
        share = min(1.0, reached / declared) if declared else 1.0
        self.media = Media(
            str(path),
            sha256,
            "video",
            round(width * self._shape) if self._shape > 0 else width,
            height,
            duration_s=seen,
            fps=Fraction(fps) if fps else None,
            read_share=1.0 if share > 0.97 else share,  # headers round
        )

    def frames(self, count: int, every_s: float | None = None) -> Iterator[Frame]:
        """Frames of the video, as `OpenMedia.frames`."""
        step = self._step()
        self._shown.clear()
        chosen = choose_frames(*self._times(), count, None if every_s is None else every_s / step)
        read = yield from self._show(chosen)
        if not read:
            raise NoFramesError("the video has no frame that can be decoded")
        if read < (requested := len(chosen)) and self._broken:
            note = f"{self._broken} of {requested} frames could not be decoded"
            unseen = Unseen(Part.FRAMES, self._broken, note)
            self.media = replace(self.media, unseen=(*self.media.unseen, unseen))

    def frames_at(self, times_s: Sequence[float]) -> Iterator[Frame]:
        """As `OpenMedia.frames_at`."""
        times, step = self._times()[0], self._step()
        first = times[0] if times else 0
        numbers = {max(0, bisect_right(times, first + time / step + 1e-9) - 1) for time in times_s}
        yield from self._show(sorted(numbers - self._shown))

    def _times(self) -> tuple[Sequence[int], int]:
        """When each frame comes up and when the last one goes, in units of `_step` seconds."""
        index = self._index
        return (index.pts, index.end) if index.pts else (range(self._packets), self._packets)

    def _step(self) -> float:
        return float(self._index.time_base) if self._index.pts else 1 / float(self._fps or 25)

    def _show(self, numbers: Sequence[int]) -> Generator[Frame, None, int]:
        """The frames of these numbers that can be decoded; returns how many."""
        before = len(self._shown)
        if not numbers:
            return 0
        for frame in self._by_time(numbers) if self._index.pts else self._by_count(numbers):
            self._shown.add(frame.index)
            height, width = frame.image.shape[:2]
            self.media = replace(
                self.media, frames_read=len(self._shown), width=width, height=height
            )
            yield frame
        return len(self._shown) - before

    def _by_time(self, chosen: Sequence[int]) -> Iterator[Frame]:
        index = self._index
        first = index.pts[0]
        number_of = {index.pts[i]: i for i in chosen}
        container, stream = self._open()
        with container:
            for start, wanted in plan(sorted(number_of), index):
                for attempt in self._attempts(start):
                    if self._go_to(container, stream, attempt, wanted[0]):
                        break
                for pts, image in self._run(container, stream, wanted):
                    yield Frame(number_of[pts], float((pts - first) * index.time_base), image)

    def _attempts(self, start: int | None) -> list[int | None]:
        """Where to seek to, until it works.

        MPEG streams have no index, and a seek may land behind the key frame.
        """
        if start is None:
            return [None]
        place = bisect_right(self._index.keys, start) - 1
        return [*(self._index.keys[max(place - back, 0)] for back in (0, 1, 3)), self._index.pts[0]]

    def _go_to(self, container: Any, stream: Any, start: int | None, wanted: int) -> bool:
        """Seek to the key frame at `start` (None: stay).

        Returns whether a key frame lies before or at `wanted` from there.
        """
        if start is None:
            return True
        try:
            container.seek(start, stream=stream, backward=True)
            keys = (
                packet.pts
                for packet in container.demux(stream)
                if packet.is_keyframe and packet.pts is not None
            )
            key_frame = next(keys, None)
            container.seek(start, stream=stream, backward=True)
        except av.FFmpegError:
            return False
        return key_frame is not None and key_frame <= wanted

    def _run(
        self, container: Any, stream: Any, wanted: Sequence[int]
    ) -> Iterator[tuple[int, Image]]:
        """The frames at `wanted` (rising pts), reading on from where we are."""
        waiting = set(wanted)
        codec = stream.codec_context
        unasked = "NONREF" if codec.codec.canonical_name in SKIPPABLE else "DEFAULT"
        try:
            for packet in container.demux(stream):
                codec.skip_frame = (
                    "DEFAULT" if packet.pts is None or packet.pts in waiting else unasked
                )
                yield from self._decoded(codec, packet, waiting)
                if not waiting or (packet.dts is not None and packet.dts > max(waiting)):
                    break
            codec.skip_frame = "DEFAULT"
            if waiting:
                yield from self._decoded(codec, None, waiting)
            self._broken += len(waiting)
        finally:
            codec.skip_frame = "DEFAULT"

    def _decoded(self, codec: Any, packet: Any, waiting: set[int]) -> Iterator[tuple[int, Image]]:
        try:
            frames = codec.decode(packet)
        except (av.FFmpegError, EOFError):
            return  # one broken packet; the next may be good
        for frame in frames:
            if frame.pts in waiting and not frame.is_corrupt:
                waiting.discard(frame.pts)
                yield frame.pts, _to_rgb(frame, self._shape)

    def _by_count(self, chosen: Sequence[int]) -> Iterator[Frame]:
        """For streams without times (raw H.264, some AVI): frames are counted."""
        wanted = set(chosen)
        rate = float(self._fps or 25)
        container, stream = self._open()
        with container:
            number = 0
            try:
                for frame in container.decode(stream):
                    if number in wanted and not frame.is_corrupt:
                        yield Frame(number, number / rate, _to_rgb(frame, self._shape))
                    number += 1
            except av.FFmpegError:
                return

    def _open(self) -> tuple[Any, Any]:
        try:
            container = av.open(
                str(self._path),
                format=self._demuxer,
                options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"},
                metadata_errors="replace",
            )
        except (av.FFmpegError, ValueError, OSError) as error:
            raise UnknownFormatError("neither a picture nor a video that can be decoded") from error
        pictures = [s for s in container.streams.video if not _is_cover(s)]
        if not pictures:
            what = "sound only" if container.streams.audio else "no picture"
            container.close()
            raise NoVideoError(f"the file has {what}")
        stream = pictures[0]
        if stream.codec_context is None or stream.codec_context.width == 0:
            container.close()
            raise UnknownFormatError("the video's codec is not known")
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = self._threads
        return container, stream


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


def _read_index(container: Any, stream: Any) -> tuple[Index, int, float]:
    """The index, the number of packets, and how far the file reaches in seconds, sound included.

    A header gives the length of the longest stream, so only all of them together show whether the
    file is truncated.
    """
    pts, keys, count, last, dated, reached = [], [], 0, 0, True, 0.0
    start = (container.start_time or 0) / av.time_base
    try:
        for packet in container.demux(stream, *container.streams.audio):
            if packet.size == 0:  # the flush packet at the end
                continue
            until = packet.pts if packet.pts is not None else packet.dts
            if until is not None:
                reached = max(
                    reached, float((until + (packet.duration or 0)) * packet.time_base) - start
                )
            if packet.stream_index != stream.index:
                continue
            count += 1
            if packet.pts is None:
                dated = False
                continue
            pts.append(packet.pts)
            last = max(last, packet.pts + (packet.duration or 0))
            if packet.is_keyframe:
                keys.append(packet.pts)
    except av.FFmpegError:
        pass  # cut short; what came before is judged, and read_share says so
    pts = sorted(set(pts)) if dated else []
    if pts and last <= pts[-1]:  # no durations: the last frame stays as long as the one before
        last = pts[-1] + (pts[-1] - pts[-2] if len(pts) > 1 else 1)
    return Index(tuple(pts), tuple(sorted(keys)), last, stream.time_base), count, reached


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def _to_rgb(frame: Any, shape: Fraction) -> Image:
    """(height, width, 3) uint8, upright, square pixels, one field if the frame holds two."""
    image: Any = frame.to_ndarray(format="rgb24")
    if frame.interlaced_frame:
        # two moments in one frame, line by line: keep the upper one, or every moving edge looks
        # like a seam
        height, width = image.shape[:2]
        image = cv2.resize(image[::2], (width, height), interpolation=cv2.INTER_LINEAR)
    if shape > 0 and shape != 1:
        height, width = image.shape[:2]
        image = cv2.resize(image, (round(width * shape), height), interpolation=cv2.INTER_LINEAR)
    if frame.rotation % 90 == 0 and frame.rotation:
        image = np.rot90(image, frame.rotation // 90)
    return np.ascontiguousarray(image)
