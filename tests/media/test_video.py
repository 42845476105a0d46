from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from helpers.clips import number_of, numbered, turn, write_sound, write_video
from unmask.errors import NoVideoError, TooLargeError, UnknownFormatError
from unmask.media import open_media
from unmask.media.index import SEEK_WORTH, Index, plan
from unmask.types import Part, Unseen


def read(path: Path, count: int) -> list[int]:
    with open_media(path) as source:
        return [number_of(frame.image) for frame in source.frames(count)]


ENCODERS = [
    ("h264.mp4", "libx264", "yuv420p", {}),
    ("h264-b-pyramid.mkv", "libx264", "yuv420p", {"bf": "4", "b-pyramid": "normal", "g": "250"}),
    ("h264-10-bit.mp4", "libx264", "yuv420p10le", {}),
    ("hevc.mp4", "libx265", "yuv420p", {"x265-params": "log-level=none"}),
    ("hevc-10-bit.mkv", "libx265", "yuv420p10le", {"x265-params": "log-level=none"}),
    ("vp9.webm", "libvpx-vp9", "yuv420p", {"cpu-used": "8", "deadline": "realtime"}),
    ("av1.mkv", "libsvtav1", "yuv420p", {"preset": "12", "svtav1-params": "lp=1"}),
    ("mpeg4.mp4", "mpeg4", "yuv420p", {"bf": "2", "qscale": "3"}),
    ("mpeg4.avi", "mpeg4", "yuv420p", {"qscale": "3"}),
    ("mpeg2.ts", "mpeg2video", "yuv420p", {"bf": "2"}),
    ("mjpeg.mov", "mjpeg", "yuvj420p", {}),
    ("h264.flv", "libx264", "yuv420p", {}),
]


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "options"), ENCODERS, ids=[row[0] for row in ENCODERS]
)
def test_every_codec_delivers_the_right_frames(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, options: dict[str, str]
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this build of FFmpeg has no encoder {codec}")
    path = write_video(tmp_path / name, 60, codec=codec, pix_fmt=pix_fmt, options=options)
    # spans of 15 frames with their middles at 7.5, 22.5, …
    assert read(path, 4) == [7, 22, 37, 52]
    assert read(path, 100) == list(range(60))


@pytest.mark.parametrize("gop", [5, 12, 60, 250])
@pytest.mark.parametrize("count", [1, 3, 7, 20])
def test_seeking_and_reading_on_deliver_the_same(tmp_path: Path, gop: int, count: int) -> None:
    path = write_video(tmp_path / "clip.mp4", 240, options={"g": str(gop), "bf": "3"})
    span = 240 / count
    assert read(path, count) == [int((k + 0.5) * span) for k in range(count)]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.ts", "libx264"),
        ("a.ts", "mpeg2video"),
        ("a.mpg", "mpeg2video"),
        ("a.mkv", "libx264"),
        ("a.avi", "mpeg4"),
        ("a.flv", "libx264"),
        ("a.webm", "libvpx-vp9"),
        ("a.mov", "libx265"),
        ("a.wmv", "wmv2"),
    ],
)
def test_seeking_in_containers_that_seek_badly(tmp_path: Path, name: str, codec: str) -> None:
    options = {
        "g": "30",
        "x265-params": "log-level=none:keyint=30",
        "cpu-used": "8",
        "deadline": "realtime",
    }
    own = {"libx265": ["g", "x265-params"], "libvpx-vp9": ["g", "cpu-used", "deadline"]}.get(
        codec, ["g"]
    )
    path = write_video(
        tmp_path / name, 300, codec=codec, options={key: options[key] for key in own}
    )
    # spans of 60 frames with their middles at 30, 90, …, give or take the rounding of the
    # container's clock
    found = read(path, 5)
    assert len(found) == 5
    assert all(abs(a - b) <= 1 for a, b in zip(found, [30, 90, 150, 210, 270], strict=True))


def test_frames_are_the_same_as_when_all_are_decoded(tmp_path: Path) -> None:
    """Leaving out frames that nothing refers to must not change a pixel of the others."""
    rng = np.random.default_rng(0)
    noise = [
        np.kron(rng.integers(0, 256, (12, 20, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
        for _ in range(50)
    ]
    path = write_video(tmp_path / "clip.mp4", noise, options={"bf": "3", "g": "100"})
    with av.open(str(path)) as container:
        plain = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with open_media(path) as source:
        for frame in source.frames(9):
            assert np.array_equal(frame.image, plain[frame.index])


def test_the_plan_seeks_only_past_the_next_key_frame() -> None:
    every_100 = Index(tuple(range(400)), (0, 100, 200, 300), 400, Fraction(1, 30))
    # 20 → 90 lie before key frame 100: read on; 90 → 110: only 10 frames to pass over: read on;
    # 310: past 200 and 300
    assert plan([20, 90, 110, 310], every_100) == [(None, [20, 90, 110]), (300, [310])]
    one_key = Index(tuple(range(400)), (0,), 400, Fraction(1, 30))
    assert plan([20, 90, 110, 310], one_key) == [(None, [20, 90, 110, 310])]
    assert SEEK_WORTH == 16


def test_variable_frame_rate_is_even_in_time(tmp_path: Path) -> None:
    # frames 0–9 in the first third of a second, then one a second for nine seconds
    pts = [*range(10), *(30 * k for k in range(1, 10))]
    path = write_video(tmp_path / "vfr.mkv", 19, pts=pts)
    with open_media(path) as source:
        frames = list(source.frames(3))
        assert source.media.duration_s == pytest.approx(9.03, abs=0.01)
    # spans of 3.01 s with their middles at 1.5, 4.5, 7.5 s: the frames that came up at 1, 4 and 7 s
    assert [number_of(frame.image) for frame in frames] == [10, 13, 16]
    assert [frame.time_s for frame in frames] == pytest.approx([1, 4, 7], abs=0.01)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_applied(tmp_path: Path, degrees: int) -> None:
    picture = np.zeros((96, 160, 3), np.uint8)
    picture[:32, :32] = (255, 0, 0)  # red in the upper left corner as stored
    path = turn(write_video(tmp_path / "phone.mp4", [picture] * 5), degrees)
    with open_media(path) as source:
        image = next(iter(source.frames(1))).image
        media = source.media
    shape = (96, 160) if degrees in (0, 180) else (160, 96)
    assert image.shape[:2] == shape == (media.height, media.width)
    height, width = shape
    # turned clockwise the corner goes from upper left to upper right, lower right, lower left
    row, column = {
        0: (8, 8),
        90: (8, width - 8),
        180: (height - 8, width - 8),
        270: (height - 8, 8),
    }[degrees]
    assert image[row, column, 0] > 200
    assert image[row, column, 1] < 80


def test_non_square_pixels_become_square(tmp_path: Path) -> None:
    def wide(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    path = write_video(tmp_path / "dv.mp4", 5, prepare=wide)
    with open_media(path) as source:
        assert next(iter(source.frames(1))).image.shape == (96, 213, 3)
        assert source.media.width == 213


def test_interlaced_frames_show_one_moment(tmp_path: Path) -> None:
    # upper field white, lower field black: two moments woven into one frame
    woven = np.zeros((96, 160, 3), np.uint8)
    woven[::2] = 255
    path = write_video(
        tmp_path / "tv.mkv",
        [woven] * 8,
        options={"flags": "+ildct+ilme", "x264-params": "interlaced=1:tff=1", "crf": "1"},
    )
    with open_media(path) as source:
        image = next(iter(source.frames(1))).image
    assert image[8:-8].mean() > 240  # the upper field only, not the comb


def test_portrait_and_odd_sizes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "tall.mkv", [numbered(i, 100, 202) for i in range(9)])
    with open_media(path) as source:
        assert [f.image.shape for f in source.frames(2)] == [(202, 100, 3)] * 2
        assert (source.media.width, source.media.height, source.media.frames_read) == (100, 202, 2)


def test_facts_of_a_clip(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 60, fps=25)
    with open_media(path) as source:
        media = source.media
        assert (media.kind, media.width, media.height, media.fps) == (
            "video",
            160,
            96,
            Fraction(25),
        )
        assert media.duration_s == pytest.approx(2.4)
        assert media.read_share == 1
        assert source.tags["codec"] == "h264"
        frames = list(source.frames(4))
    assert [frame.index for frame in frames] == [7, 22, 37, 52]
    assert [frame.time_s for frame in frames] == pytest.approx([0.28, 0.88, 1.48, 2.08])
    assert not frames[0].image.flags.writeable


def test_a_video_of_one_frame(tmp_path: Path) -> None:
    assert read(write_video(tmp_path / "one.mp4", 1), 32) == [0]


def test_a_stream_without_times_is_counted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "raw.h264", 40, options={"bf": "0"})
    assert read(path, 4) == [5, 15, 25, 35]


def test_a_truncated_clip_gives_what_it_has_and_says_how_much(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", 300, options={"g": "25", "movflags": "+faststart"})
    # the index stands first: cut the pictures to a half
    with (
        av.open(str(whole), "r") as source,
        av.open(str(tmp_path / "fast.mp4"), "w", options={"movflags": "faststart"}) as out,
    ):
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    content = (tmp_path / "fast.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: len(content) * 6 // 10])
    with open_media(cut) as video:
        numbers = [number_of(frame.image) for frame in video.frames(10)]
        assert 0.1 < video.media.read_share < 0.9
        assert video.media.duration_s == pytest.approx(10 * video.media.read_share, abs=0.5)
    assert len(numbers) >= 8
    assert numbers == sorted(numbers)
    assert numbers[0] < 30


def test_a_clip_without_its_index_is_refused(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", 60)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(UnknownFormatError):
        open_media(cut)


def test_text_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("this is no video\n" * 100)
    with pytest.raises(UnknownFormatError, match="neither a picture nor a video"):
        open_media(path)


def test_a_playlist_fetches_nothing(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.ts", 10, codec="mpeg2video")
    path = tmp_path / "list.mp4"
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n")
    with pytest.raises(UnknownFormatError):
        open_media(path)


def test_sound_only_is_said(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        write_sound(container, container.add_stream("aac", rate=44100))
    with pytest.raises(NoVideoError, match="sound only"):
        open_media(path)


def test_sound_beside_the_picture_is_ignored(tmp_path: Path) -> None:
    assert read(write_video(tmp_path / "clip.mp4", 30, audio_s=0.5), 3) == [5, 15, 25]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.mov"])
def test_sound_that_outlasts_the_picture_is_no_truncation(tmp_path: Path, name: str) -> None:
    with open_media(write_video(tmp_path / name, 30, audio_s=3)) as source:
        assert source.media.read_share == 1
        assert source.media.duration_s == pytest.approx(1, abs=0.1)


def test_a_zero_length_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.start_encoding()
    with pytest.raises((UnknownFormatError, NoVideoError)):
        open_media(path)


def test_frames_over_the_bound_are_refused_unread(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 5)
    with pytest.raises(TooLargeError, match="160×96"):
        open_media(path, max_pixels=160 * 96 - 1)


def test_leaving_early_leaves_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    with open_media(write_video(tmp_path / "clip.mp4", 60)) as source:
        next(iter(source.frames(30)))
    assert threading.active_count() == before


def noisy_mjpeg(path: Path) -> bytearray:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (96, 160, 3), dtype=np.uint8) for _ in range(60)]
    return bytearray(write_video(path, noise, codec="mjpeg", pix_fmt="yuvj420p").read_bytes())


def test_a_hole_in_the_container_costs_what_lay_in_it(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    content = noisy_mjpeg(path)
    middle, size = len(content) // 2, len(content) // 8
    content[middle : middle + size] = bytes(size)
    path.write_bytes(content)
    with open_media(path) as source:
        times = [frame.time_s for frame in source.frames(12)]
    assert 9 <= len(times) <= 12
    assert times == sorted(set(times))
    assert times[0] < 0.2
    assert times[-1] > 1.8  # on the other side of the hole


def test_a_frame_that_cannot_be_decoded_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    content = noisy_mjpeg(path)
    with av.open(str(path)) as container:
        packet = next(
            p
            for p in container.demux(video=0)
            if p.pts is not None and p.pts * p.time_base * 30 == 22
        )
        content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(content)
    with open_media(path) as source:
        # spans of 5 frames with their middles at 2.5, 7.5, …: 2, 7, 12, 17, 22, …
        assert [frame.index for frame in source.frames(12)] == [
            2,
            7,
            12,
            17,
            27,
            32,
            37,
            42,
            47,
            52,
            57,
        ]
        (unseen,) = source.media.unseen
        assert unseen == Unseen(Part.FRAMES, 1, "1 of 12 frames could not be decoded")
        assert source.media.frames_read == 11
