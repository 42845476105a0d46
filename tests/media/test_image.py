from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile, features

from unmask.errors import NoFramesError, TooLargeError, UnknownFormatError
from unmask.media import open_media
from unmask.media.image import FORMATS

RED, GREEN = (255, 0, 0), (0, 200, 0)


def halves(width: int = 64, height: int = 48) -> Image.Image:
    """Red on the left, green on the right."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height))
    return image


def only_frame(path: Path) -> np.ndarray:
    with open_media(path) as source:
        frames = list(source.frames(32))
        assert source.media.frames_read == 1
    assert len(frames) == 1
    assert frames[0].time_s == 0
    return frames[0].image


def near(pixel: np.ndarray, colour: tuple[int, int, int], tolerance: int = 12) -> bool:
    return bool((np.abs(pixel.astype(int) - colour) <= tolerance).all())


@pytest.mark.parametrize(
    "name", ["a.jpg", "a.png", "a.webp", "a.gif", "a.bmp", "a.tiff", "a.avif", "a.ppm"]
)
def test_formats(tmp_path: Path, name: str) -> None:
    if name == "a.avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    halves().save(tmp_path / name)
    image = only_frame(tmp_path / name)
    assert image.shape == (48, 64, 3)
    assert image.dtype == np.uint8
    assert near(image[24, 8], RED, 30)
    assert near(image[24, 56], GREEN, 30)


def test_the_content_counts_not_the_name(tmp_path: Path) -> None:
    halves().save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.mp4")
    assert only_frame(tmp_path / "a.mp4").shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("orientation", "corner"), [(1, "left"), (3, "right"), (6, "top"), (8, "bottom")]
)
def test_exif_orientation(tmp_path: Path, orientation: int, corner: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    halves().save(tmp_path / "a.jpg", exif=exif, quality=95)
    image = only_frame(tmp_path / "a.jpg")
    height, width = image.shape[:2]
    assert (height, width) == ((48, 64) if orientation in (1, 3) else (64, 48))
    place = {"left": (24, 4), "right": (24, 60), "top": (4, 24), "bottom": (60, 24)}[corner]
    assert near(image[place], RED, 20)
    with open_media(tmp_path / "a.jpg") as source:
        assert (source.media.height, source.media.width) == (height, width)


def test_16_bit_grey(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, 256).repeat(8, axis=0)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    assert np.abs(only_frame(tmp_path / "a.png")[0, :, 0].astype(int) - np.arange(256)).max() <= 1
    Image.fromarray(ramp).save(tmp_path / "a.tiff")
    assert np.abs(only_frame(tmp_path / "a.tiff")[0, :, 0].astype(int) - np.arange(256)).max() <= 1


def test_float_grey(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "a.tiff")
    assert near(only_frame(tmp_path / "a.tiff")[0, 0], (128, 128, 128), 1)


def test_8_bit_grey_and_one_bit(tmp_path: Path) -> None:
    Image.new("L", (9, 9), 77).save(tmp_path / "a.png")
    assert near(only_frame(tmp_path / "a.png")[0, 0], (77, 77, 77), 0)
    Image.new("1", (9, 9), 1).save(tmp_path / "b.png")
    assert near(only_frame(tmp_path / "b.png")[0, 0], (255, 255, 255), 0)


def test_cmyk(tmp_path: Path) -> None:
    halves().convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    image = only_frame(tmp_path / "a.jpg")
    assert near(image[24, 8], RED, 20)
    assert near(image[24, 56], GREEN, 20)


def test_palette(tmp_path: Path) -> None:
    halves().convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "a.png")
    assert near(only_frame(tmp_path / "a.png")[24, 8], RED)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_lies_on_white(tmp_path: Path, mode: str) -> None:
    image = Image.new(mode, (16, 8), (0, 0, 0, 0) if mode == "RGBA" else (0, 0))
    image.paste((0, 0, 0, 255) if mode == "RGBA" else (0, 255), (8, 0, 16, 8))
    image.save(tmp_path / "a.png")
    seen = only_frame(tmp_path / "a.png")
    assert near(seen[4, 2], (255, 255, 255), 0)
    assert near(seen[4, 12], (0, 0, 0), 0)


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.save(tmp_path / "a.png", transparency=0)
    assert near(only_frame(tmp_path / "a.png")[0, 0], (255, 255, 255), 0)


def test_an_embedded_profile_is_brought_to_srgb(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    # a profile that is not sRGB; it does not fit RGB, so it must be ignored without harm
    assert lab.tobytes()
    halves().save(tmp_path / "odd.png", icc_profile=lab.tobytes())
    assert near(only_frame(tmp_path / "odd.png")[24, 8], RED)
    halves().save(tmp_path / "broken.png", icc_profile=b"no profile")
    assert near(only_frame(tmp_path / "broken.png")[24, 8], RED)


def test_an_animated_gif_is_a_short_video(tmp_path: Path) -> None:
    shades = [Image.new("L", (16, 16), 20 * i) for i in range(10)]
    shades[0].save(tmp_path / "a.gif", save_all=True, append_images=shades[1:], duration=200)
    with open_media(tmp_path / "a.gif") as source:
        frames = list(source.frames(5))
        assert source.media.kind == "video"
        assert source.media.duration_s == pytest.approx(2.0)
    assert [frame.index for frame in frames] == [1, 3, 5, 7, 9]
    assert [frame.time_s for frame in frames] == pytest.approx([0.2, 0.6, 1.0, 1.4, 1.8])
    assert [int(frame.image[0, 0, 0]) for frame in frames] == pytest.approx(
        [20, 60, 100, 140, 180], abs=4
    )


def interrupted_gif(path: Path, frames: int, behind: int, junk: bytes) -> Path:
    """A GIF with something that is no block behind so many of its frames."""
    shades = [Image.new("L", (16, 16), 20 * i) for i in range(1, frames + 1)]
    shades[0].save(path, save_all=True, append_images=shades[1:], duration=200)
    content = path.read_bytes()
    # each frame begins with a block that says how long it is shown
    places = [at for at in range(len(content)) if content[at : at + 3] == b"!\xf9\x04"]
    cut = ([*places, len(content) - 1])[behind]
    path.write_bytes(content[:cut] + junk + content[cut:])
    return path


@pytest.mark.parametrize(("frames", "behind"), [(1, 1), (5, 2), (5, 5)])
def test_a_gif_that_is_interrupted_is_told(tmp_path: Path, frames: int, behind: int) -> None:
    path = interrupted_gif(tmp_path / "a.gif", frames, behind, b"PK\x03\x04 something else")
    with open_media(path) as source:
        list(source.frames(5))
        (unseen,) = source.media.unseen
    assert "damaged behind one of its frames" in unseen.note


@pytest.mark.parametrize("junk", [b"", b"\0\0"])
def test_zeros_between_the_blocks_of_a_gif_hide_nothing(tmp_path: Path, junk: bytes) -> None:
    with open_media(interrupted_gif(tmp_path / "a.gif", 5, 2, junk)) as source:
        assert len(list(source.frames(5))) == 5
        assert source.media.unseen == ()


def test_a_truncated_jpeg_gives_what_it_has_and_says_how_much(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(1, 256, (256, 256, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    path = tmp_path / "cut.jpg"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with open_media(path) as source:
        image = next(iter(source.frames(1))).image
        assert 0.35 < source.media.read_share < 0.65
    assert image[:80].std() > 20
    assert not ImageFile.LOAD_TRUNCATED_IMAGES  # what is borrowed is given back


def test_of_a_jpeg_without_picture_data_next_to_nothing_was_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    halves(512, 512).save(buffer, "JPEG")
    path = tmp_path / "cut.jpg"
    content = buffer.getvalue()
    path.write_bytes(content[: content.index(b"\xff\xda") + 14])  # up to the head of the first scan
    with open_media(path) as source:
        list(source.frames(1))
        assert source.media.read_share < 0.05  # libjpeg leaves one row of blocks


def test_a_png_without_picture_data_is_refused(tmp_path: Path) -> None:
    halves(64, 64).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: content.index(b"IDAT") + 6])
    with (
        pytest.raises((NoFramesError, UnknownFormatError)),
        open_media(tmp_path / "a.png") as source,
    ):
        list(source.frames(1))


def test_a_bomb_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    # a PNG that declares 60,000×60,000 pixels (10.8 GB) in 60 bytes
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TooLargeError, match=r"60000×60000 pixels.*--max-pixels"):
            open_media(path)
    assert Image.MAX_IMAGE_PIXELS is not None  # what is borrowed is given back


def test_the_bound_can_be_set(tmp_path: Path) -> None:
    halves().save(tmp_path / "a.png")
    with pytest.raises(TooLargeError):
        open_media(tmp_path / "a.png", max_pixels=64 * 48 - 1)
    with open_media(tmp_path / "a.png", max_pixels=64 * 48) as source:
        assert len(list(source.frames(1))) == 1


def test_no_format_that_runs_programs_is_tried() -> None:
    assert not {"EPS", "WMF", "PDF"} & set(FORMATS)


def test_what_the_file_says(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", "a portrait, Steps: 20, Sampler: Euler")
    halves().save(tmp_path / "a.png", pnginfo=info)
    with open_media(tmp_path / "a.png") as source:
        assert source.tags["parameters"].startswith("a portrait")
        assert source.tags["format"] == "PNG"


def test_leniency_with_one_picture_hides_no_fault_of_another(tmp_path: Path) -> None:
    """Whole and truncated pictures in many threads at once: each share is right, though Pillow's
    switch is global."""
    from concurrent.futures import ThreadPoolExecutor

    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(1, 256, (200, 200, 3), dtype=np.uint8)).save(
        buffer, "JPEG", quality=90
    )
    content = buffer.getvalue()
    for number in range(80):
        (tmp_path / f"{number}.jpg").write_bytes(
            content if number % 2 else content[: len(content) // 2]
        )

    def share(number: int) -> float:
        with open_media(tmp_path / f"{number}.jpg") as source:
            list(source.frames(1))
            return source.media.read_share

    with ThreadPoolExecutor(8) as pool:
        shares = list(pool.map(share, range(80)))
    assert all((value == 1) == (number % 2 == 1) for number, value in enumerate(shares))


def test_hostile_exif_costs_nothing_but_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halves().save(tmp_path / "a.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff", quality=95)
    assert near(only_frame(tmp_path / "a.jpg")[24, 8], RED, 20)

    def explode(*_: object) -> None:
        raise SyntaxError("not a TIFF file")

    monkeypatch.setattr(Image.Image, "getexif", explode)
    assert near(only_frame(tmp_path / "a.jpg")[24, 8], RED, 20)
