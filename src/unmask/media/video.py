"""Videos by PyAV (FFmpeg)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace

from unmask._internal.words import Words
from unmask.errors import NoFramesError, NoVideoError, UnknownFormatError
from unmask.media.base import Closing, choose_frames, require_pixels
from unmask.media.hdr import TRANSFERS, to_srgb
from unmask.media.index import Extent, plan, read_index
from unmask.types import Frame, Image, Media, Part, Unseen

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,asf,flv,ogg,mxf,yuv4mpegpipe,"
    "h264,hevc,m4v,ivf,obu,mjpeg,gif,apng,wav,mp3,aac,flac"
)
"""What FFmpeg is allowed to try. Playlists (which fetch other files) and text art are not; sound
is, to say so."""

KEY_FRAMES_FROM_S = 8
"""Seconds between looks from which on key frames near the wanted ones are taken."""

SKIPPABLE = frozenset({"h264", "hevc", "mpeg2video", "mpeg4"})
"""Codecs whose decoders heed skip_frame packet by packet. dav1d (AV1) applies it to frames already
under way."""


HEADER_SLACK = 2.5
"""Frames that a header may promise beyond what is there: some count from where the clock's zero is,
and the first frame of a stream with B-frames is shown two frames later."""

ONE_THREAD_FROM = 16_000_000
"""Pixels of a frame from which on one thread decodes: each more would hold frames of its own, of 50
MB in 8K, and finding faces takes longer than decoding."""

ENCRYPTED = frozenset({"encv", "drmi"})
"""Codec tags of encrypted video in MP4."""

WIDEST_PIXEL = 4
"""How many times as wide as high, or as high as wide, a pixel may be; the widest in use is 2:1."""

UNSPECIFIED, HD_LINES = 2, 720
"""The code for colours that are not said (ITU-T H.273), and from how many lines on video is HD."""


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
            self._shape, notes = _pixel_shape(stream)
            shown_width = round(width * self._shape)
            require_pixels(max(width, shown_width), height, max_pixels, "frames of ")
            declared = container.duration / av.time_base if container.duration else 0.0
            fps = stream.average_rate or stream.guessed_rate
            self.tags: Mapping[str, str] = {
                **stream.metadata,
                **container.metadata,
                "format": container.format.name,
                "codec": stream.codec_context.name,
            }
            unseen = _further_streams(container, stream)
            self._index, extent = read_index(container, stream)
            self._packets, frames_declared = extent.packets, stream.frames
        self._fps = fps
        base = self._index.time_base
        seen = (
            float((self._index.end - self._index.pts[0]) * base)
            if self._index.pts
            else extent.packets / float(fps or 25)
        )
        share = _share_read(extent, declared, frames_declared, float(fps or 25))
        if extent.broken_at is not None:
            share = min(share, extent.broken_at / path.stat().st_size)
        self.media = Media(
            str(path),
            sha256,
            "video",
            shown_width,
            height,
            duration_s=seen,
            fps=Fraction(fps) if fps else None,
            read_share=share,
            notes=notes,
            unseen=unseen,
        )

    def frames(self, count: int, every_s: float | None = None) -> Iterator[Frame]:
        """Frames of the video, as `OpenMedia.frames`."""
        step = self._step()
        self._shown.clear()
        chosen = choose_frames(*self._times(), count, None if every_s is None else every_s / step)
        if every_s is None:
            chosen = self._at_key_frames(chosen)
        read = yield from self._show(chosen)
        if not read:
            raise NoFramesError("the video has no frame that can be decoded")
        if read < (requested := len(chosen)) and self._broken:
            note = Words(
                "{broken} of {frames} frames could not be decoded",
                broken=self._broken,
                frames=requested,
            )
            unseen = Unseen(Part.FRAMES, self._broken, note)
            self.media = replace(self.media, unseen=(*self.media.unseen, unseen))

    def _at_key_frames(self, chosen: Sequence[int]) -> list[int]:
        """The chosen frames, each moved to a key frame near it where looks are far apart.

        To decode any other frame, all frames from the key frame before it on must be decoded.
        """
        index = self._index
        if len(chosen) < 2 or not index.keys or index.restarts:
            return list(chosen)
        apart = (index.pts[chosen[-1]] - index.pts[chosen[0]]) / (len(chosen) - 1)
        if apart * index.time_base < KEY_FRAMES_FROM_S:
            return list(chosen)
        place_of = {pts: place for place, pts in enumerate(index.pts)}
        moved = []
        for place in chosen:
            pts = index.pts[place]
            after = bisect_right(index.keys, pts)
            near = [key for key in index.keys[max(after - 1, 0) : after + 1] if key in place_of]
            key = min(near, key=lambda key: abs(key - pts), default=pts)
            moved.append(place_of[key] if abs(key - pts) <= apart / 3 else place)
        return sorted(set(moved))

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
        for frame in self._chosen(numbers):
            self._shown.add(frame.index)
            height, width = frame.image.shape[:2]
            self.media = replace(
                self.media, frames_read=len(self._shown), width=width, height=height
            )
            yield frame
        return len(self._shown) - before

    def _chosen(self, numbers: Sequence[int]) -> Iterator[Frame]:
        if not self._index.pts:
            return self._by_count(numbers)
        if self._index.restarts:
            return self._by_reading_on(numbers)
        return self._by_time(numbers)

    def _by_reading_on(self, chosen: Sequence[int]) -> Iterator[Frame]:
        """For streams whose clock restarts, where a time does not say which frame is meant."""
        index = self._index
        times = {marked: list(going_on) for marked, going_on in index.restarts.items()}
        number_of = {index.pts[i]: i for i in chosen}
        last = index.pts[max(chosen)]
        container, stream = self._open()
        with container:
            for packet in _packets(container, stream):
                for frame in _frames_of(stream.codec_context, packet):
                    waiting = times.get(frame.pts) or []
                    pts = waiting.pop(0) if waiting else None
                    if pts in number_of and not frame.is_corrupt:
                        number = number_of.pop(pts)
                        time_s = float((pts - index.pts[0]) * index.time_base)
                        yield Frame(number, time_s, self._to_rgb(frame))
                    if pts is not None and pts >= last:
                        self._broken += len(number_of)
                        return
        self._broken += len(number_of)

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
            for packet in _packets(container, stream):
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
        for frame in _frames_of(codec, packet):
            if frame.pts in waiting and not frame.is_corrupt:
                waiting.discard(frame.pts)
                yield frame.pts, self._to_rgb(frame)

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
                        yield Frame(number, number / rate, self._to_rgb(frame))
                    number += 1
            except av.FFmpegError:
                return

    def _to_rgb(self, frame: Any) -> Image:
        """The frame as `_to_rgb`; a note says where HDR was brought to an ordinary screen."""
        name = TRANSFERS.get(frame.color_trc)
        note = Words("HDR ({name}): shown as on an ordinary screen", name=name)
        if name and note not in self.media.notes:
            self.media = replace(self.media, notes=(*self.media.notes, note))
        return _to_rgb(frame, self._shape)

    def _open(self) -> tuple[Any, Any]:
        try:
            container = av.open(
                # absolute, for FFmpeg takes a name like 12:30:11.mp4 for an address
                str(self._path.absolute()),
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
        if stream.codec_context is not None and stream.codec_context.codec_tag in ENCRYPTED:
            container.close()
            raise UnknownFormatError("the video is encrypted (copy protection)")
        if stream.codec_context is None or stream.codec_context.width == 0:
            container.close()
            raise UnknownFormatError("the video's codec is not known")
        stream.thread_type = "AUTO"
        codec = stream.codec_context
        is_huge = codec.width * codec.height > ONE_THREAD_FROM
        codec.thread_count = 1 if is_huge else self._threads
        return container, stream


def _share_read(extent: Extent, declared_s: float, declared_frames: int, fps: float) -> float:
    """How much of what the header promises is there, 0 to 1.

    - declared_s, declared_frames: by the header; 0 where it does not say
    """
    slack = max(HEADER_SLACK, 0.03 * declared_s * fps)  # in frames, for headers round
    share = 1.0
    if declared_s and (declared_s - extent.reached_s) * fps > slack:
        share = extent.reached_s / declared_s
    if declared_frames and declared_frames - extent.packets > slack:
        share = min(share, extent.packets / declared_frames)
    return share


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """The stream's packets, up to where the file ends or is broken."""
    try:
        yield from container.demux(stream)
    except av.FFmpegError:
        return


def _frames_of(codec: Any, packet: Any) -> list[Any]:
    """What a packet decodes to; nothing from a broken one, for the next may be good."""
    try:
        return list(codec.decode(packet))
    except (av.FFmpegError, EOFError):
        return []


def _pixel_shape(stream: Any) -> tuple[Fraction, tuple[str, ...]]:
    """How many times as wide as high a pixel is, and a note where that cannot be."""
    shape = Fraction(stream.sample_aspect_ratio or 1)
    if 1 / WIDEST_PIXEL <= shape <= WIDEST_PIXEL:
        return shape, ()
    if shape <= 0:
        return Fraction(1), ()
    note = Words(
        "a pixel shape of {across}:{down} was taken as square",
        across=shape.numerator,
        down=shape.denominator,
    )
    return Fraction(1), (note,)


def _further_streams(container: Any, stream: Any) -> tuple[Unseen, ...]:
    """The streams of pictures besides the one that is looked at."""
    others = [one for one in container.streams.video if one.index != stream.index]
    covers = sum(_is_cover(one) for one in others)
    videos = len(others) - covers
    unseen = []
    if videos:
        note = Words("only the first of {count} video streams was judged", count=videos + 1)
        unseen.append(Unseen(Part.STREAMS, videos, note))
    if covers:
        note = Words("attached pictures (a cover) were not looked at: {count}", count=covers)
        unseen.append(Unseen(Part.PICTURES, covers, note))
    return tuple(unseen)


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def _to_rgb(frame: Any, shape: Fraction) -> Image:
    """(height, width, 3) uint8, upright, square pixels, one field if the frame holds two."""
    image: Any
    if frame.color_trc in TRANSFERS:
        wide = frame.reformat(format="rgb48le", src_colorspace=_colours(frame)).to_ndarray()
        image = to_srgb(wide, frame.color_trc)
    else:
        image = frame.reformat(format="rgb24", src_colorspace=_colours(frame)).to_ndarray()
    if frame.interlaced_frame:
        # two moments in one frame, line by line: keep the upper one, or every moving edge looks
        # like a seam
        height, width = image.shape[:2]
        image = cv2.resize(image[::2], (width, height), interpolation=cv2.INTER_LINEAR)
    if shape != 1:
        height, width = image.shape[:2]
        image = cv2.resize(image, (round(width * shape), height), interpolation=cv2.INTER_LINEAR)
    if frame.rotation % 90 == 0 and frame.rotation:
        image = np.rot90(image, frame.rotation // 90)
    return np.ascontiguousarray(image)


def _colours(frame: Any) -> Colorspace | None:
    """The matrix of the frame's colours where it does not say so: HD is BT.709, as in players."""
    untagged = frame.colorspace == UNSPECIFIED
    return Colorspace.ITU709 if untagged and frame.height >= HD_LINES else None
