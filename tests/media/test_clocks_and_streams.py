"""Videos that say odd things of themselves: of their times, streams, shapes and colours."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from helpers.clips import number_of, numbered, write_video
from unmask.errors import TooLargeError
from unmask.media import open_media
from unmask.media.hdr import HLG, PQ, to_srgb
from unmask.types import Frame, Media, Part


def read(path: Path, count: int = 500) -> tuple[list[Frame], Media]:
    with open_media(path) as source:
        return list(source.frames(count)), source.media


def stream_of(first: int, count: int, fps: int = 25) -> bytes:
    """An MPEG transport stream of the numbered pictures first, first + 1, …"""
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as container:
        stream: Any = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(numbered(first + number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def test_a_clock_that_begins_anew_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(stream_of(first, 40) for first in (0, 40, 80)))
    frames, media = read(path)
    assert [number_of(frame.image) for frame in frames] == list(range(120))
    times = [frame.time_s for frame in frames]
    assert np.diff(times) == pytest.approx(0.04, abs=0.001)
    assert media.duration_s == pytest.approx(4.8, abs=0.05)
    assert media.unseen == ()
    few, _ = read(path, 6)
    assert [number_of(frame.image) for frame in few] == [10, 30, 50, 70, 90, 110]
    with open_media(path) as source:
        list(source.frames(4))
        (one,) = source.frames_at([2.0])
        assert number_of(one.image) == pytest.approx(50, abs=1)


def trimmed(path: Path, hidden: int, shown: int) -> Path:
    """A clip that begins before its own beginning: an edit list hides the first frames."""
    source = io.BytesIO(write_video(path, hidden + shown, options={"g": "300"}).read_bytes())
    path.unlink()
    with av.open(source) as whole, av.open(str(path), "w") as container:
        old = whole.streams.video[0]
        stream = container.add_stream_from_template(old)
        step = round(Fraction(1, 30) / old.time_base)
        for packet in whole.demux(old):
            if packet.dts is None:
                continue
            packet.pts -= hidden * step
            packet.dts -= hidden * step
            packet.stream = stream
            container.mux(packet)
    return path


def test_what_an_edit_list_hides_is_not_on_show(tmp_path: Path) -> None:
    path = trimmed(tmp_path / "a.mp4", hidden=60, shown=12)
    frames, media = read(path, 32)
    assert [number_of(frame.image) for frame in frames] == list(range(60, 72))
    assert frames[0].time_s == 0
    assert media.duration_s == pytest.approx(0.4, abs=0.05)
    assert media.unseen == ()


def test_further_streams_and_covers_are_named(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        streams: list[Any] = [container.add_stream("libx264", rate=25) for _ in range(3)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(10):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    _, media = read(tmp_path / "a.mkv")
    (unseen,) = media.unseen
    assert (unseen.part, unseen.count) == (Part.STREAMS, 2)


@pytest.mark.parametrize(("shape", "width"), [((90, 1), 160), ((1, 90), 160), ((4, 3), 213)])
def test_an_absurd_pixel_shape_is_taken_as_square(
    tmp_path: Path, shape: tuple[int, int], width: int
) -> None:
    def prepare(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(*shape)

    path = write_video(tmp_path / "a.mp4", 5, prepare=prepare)
    frames, media = read(path)
    assert frames[0].image.shape == (96, width, 3)
    assert bool(media.notes) == (width == 160)


def test_the_bound_holds_for_what_is_shown(tmp_path: Path) -> None:
    def prepare(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(3, 1)

    path = write_video(tmp_path / "a.mp4", 5, prepare=prepare)
    open_media(path, max_pixels=3 * 160 * 96)
    with pytest.raises(TooLargeError, match="480×96 pixels"):
        open_media(path, max_pixels=2 * 160 * 96)


def test_a_name_with_colons_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "12:30:11.mp4", 5)
    monkeypatch.chdir(tmp_path)
    frames, media = read(Path("12:30:11.mp4"))
    assert len(frames) == 5
    assert media.path == "12:30:11.mp4"


def one_colour(path: Path, size: tuple[int, int], yuv: tuple[int, int, int]) -> Path:
    """A clip of one colour, in numbers of Y, U and V, that does not say what they mean."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        planes = [
            np.full((height // part, width // part), value, np.uint8)
            for value, part in zip(yuv, (1, 2, 2), strict=True)
        ]
        flat = np.concatenate([plane.reshape(-1, width) for plane in planes])
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(flat, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("size", "yuv"), [((1280, 720), (63, 102, 240)), ((640, 480), (81, 90, 240))]
)
def test_untagged_colours_are_those_that_players_take(
    tmp_path: Path, size: tuple[int, int], yuv: tuple[int, int, int]
) -> None:
    """Pure red, by BT.709 in HD and by BT.601 below."""
    frames, _ = read(one_colour(tmp_path / "a.mp4", size, yuv))
    assert np.abs(frames[0].image[100, 100].astype(int) - (255, 0, 0)).max() <= 4


def test_hdr_by_hand() -> None:
    def grey(code: float, transfer: int) -> int:
        image = np.full((1, 1, 3), round(code * 65535), np.uint16)
        red, green, blue = (int(v) for v in to_srgb(image, transfer)[0, 0])
        assert max(red, green, blue) - min(red, green, blue) <= 1
        return red

    assert grey(0, PQ) == grey(0, HLG) == 0
    # white paper, 203 cd/m²: 58 % of PQ's code and 75 % of HLG's (ITU-R BT.2408, table 1)
    assert grey(0.5807, PQ) == pytest.approx(245, abs=6)
    assert grey(0.75, HLG) == pytest.approx(245, abs=6)
    # a grey card, 18 % of it, is what it is in sRGB: 118. Its code, by the inverse of PQ:
    light = (0.18 * 203 / 10000) ** 0.1593017578125
    code = ((0.8359375 + 18.8515625 * light) / (1 + 18.6875 * light)) ** 78.84375
    assert grey(code, PQ) == pytest.approx(118, abs=3)
    assert grey(1, PQ) == 255


def test_hdr_video_is_brought_to_an_ordinary_screen_and_told(tmp_path: Path) -> None:
    def prepare(stream: Any) -> None:
        stream.codec_context.color_trc = PQ
        stream.codec_context.color_primaries = stream.codec_context.colorspace = 9

    path = write_video(tmp_path / "a.mp4", 5, prepare=prepare)
    frames, media = read(path)
    assert frames[0].image.dtype == np.uint8
    assert media.notes == ("HDR (PQ): shown as on an ordinary screen",)


def test_far_apart_looks_are_taken_at_key_frames(tmp_path: Path) -> None:
    """Of 200 s, a key frame each 5 s: 10 looks fall on key frames, and stay evenly spaced."""
    path = write_video(
        tmp_path / "a.mp4", 200, fps=1, options={"g": "5", "keyint_min": "5", "sc_threshold": "0"}
    )
    frames, _ = read(path, 10)
    numbers = [number_of(frame.image) for frame in frames]
    assert all(number % 5 == 0 for number in numbers)
    assert np.abs(np.array(numbers) - np.arange(10, 200, 20)).max() <= 3
    # where key frames are rare, the wanted frames themselves are taken
    rare = write_video(tmp_path / "b.mp4", 200, fps=1, options={"g": "150", "sc_threshold": "0"})
    frames, _ = read(rare, 10)
    numbers = [number_of(frame.image) for frame in frames]
    assert np.abs(np.array(numbers) - np.arange(10, 200, 20)).max() <= 7
