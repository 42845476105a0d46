"""Formats that are known and cannot be read, and what lies behind pictures."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from unmask.errors import UnknownFormatError
from unmask.media import open_media
from unmask.media.known import REFUSED
from unmask.types import Media, Part


def jpeg(colour: str, size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG", **options)
    return file.getvalue()


def media_of(path: Path) -> Media:
    with open_media(path) as source:
        list(source.frames(32))
        return source.media


@pytest.mark.parametrize(("place", "mark", "what"), REFUSED)
def test_known_formats_are_refused_in_true_words(
    tmp_path: Path, place: int, mark: bytes, what: str
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(bytes(place) + mark + bytes(200))
    with pytest.raises(UnknownFormatError) as refused:
        open_media(path)
    assert str(refused.value) == what


@pytest.mark.parametrize("tag", ["version", "smaller"])
def test_a_raw_file_in_the_guise_of_a_tiff_is_refused(tmp_path: Path, tag: str) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if tag == "version":
        tags[50706] = b"\1\4\0\0"
        tags.tagtype[50706] = 1
    else:
        tags[254] = 1
    Image.new("RGB", (64, 48), "red").save(tmp_path / "a.tif", tiffinfo=tags)
    with pytest.raises(UnknownFormatError, match="raw file"):
        open_media(tmp_path / "a.tif")


def test_pages_are_named(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (64, 48), colour) for colour in ("red", "green", "blue")]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    (unseen,) = media_of(tmp_path / "a.tif").unseen
    assert (unseen.part, unseen.count) == (Part.PAGES, 2)
    assert unseen.note == "only the first of 3 pages was judged"


def test_jpegs_one_behind_the_other_are_a_video(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"".join(jpeg(colour) for colour in ("red", "green", "blue", "white")))
    media = media_of(path)
    assert (media.kind, media.frames_read) == ("video", 4)


def test_a_thumbnail_inside_is_not_taken_for_the_next_picture(tmp_path: Path) -> None:
    thumbnail = jpeg("green", (16, 16))
    segment = b"\xff\xe5" + (len(thumbnail) + 2).to_bytes(2) + thumbnail
    plain = jpeg("red")
    (tmp_path / "a.jpg").write_bytes(plain[:2] + segment + plain[2:] + b"some trailer")
    media = media_of(tmp_path / "a.jpg")
    assert (media.kind, media.unseen) == ("image", ())


@pytest.mark.parametrize("brand", [b"mp42", b"isom", b"qt  "])
def test_the_clip_of_a_motion_photo_is_named(tmp_path: Path, brand: bytes) -> None:
    clip = b"\0\0\0\x18ftyp" + brand + bytes(500_000)
    (tmp_path / "a.jpg").write_bytes(jpeg("red") + b"\0" * 7 + clip)
    (unseen,) = media_of(tmp_path / "a.jpg").unseen
    assert (unseen.part, unseen.count) == (Part.CLIP, 1)
    assert "0.5 MB" in unseen.note


def mpo(path: Path, *further: Image.Image) -> Path:
    first = Image.new("RGB", (64, 48), "red")
    first.save(path, "MPO", save_all=True, append_images=list(further))
    return path


def test_a_second_picture_in_a_jpeg_is_named_but_not_how_to_brighten_the_first(
    tmp_path: Path,
) -> None:
    stereo = mpo(tmp_path / "stereo.jpg", Image.new("RGB", (64, 48), "blue"))
    (unseen,) = media_of(stereo).unseen
    assert (unseen.part, unseen.count) == (Part.PICTURES, 1)
    gain_map = mpo(tmp_path / "gain.jpg", Image.new("L", (32, 24), 99))
    assert media_of(gain_map).unseen == ()


def test_animated_webp_keeps_its_times(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 32), (40 * n, 0, 0)) for n in range(5)]
    frames[0].save(
        tmp_path / "a.webp",
        save_all=True,
        append_images=frames[1:],
        duration=[50, 100, 150, 200, 250],
        lossless=True,
    )
    with open_media(tmp_path / "a.webp") as source:
        times = [frame.time_s for frame in source.frames(32)]
        assert source.media.duration_s == pytest.approx(0.75)
    assert times == pytest.approx([0, 0.05, 0.15, 0.3, 0.5])


def test_an_animated_png_that_ends_too_early_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)) for _ in range(6)]
    path = tmp_path / "a.png"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    whole = path.read_bytes()
    for length in range(len(whole) // 3, len(whole) - 20, 1777):
        path.write_bytes(whole[:length])
        media = media_of(path)
        assert media.kind == "video"
        assert media.read_share < 1 or media.unseen
