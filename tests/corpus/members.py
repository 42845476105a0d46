"""The files: each shows a real face, and then, or below it, a fake one.

The bundle that judges them scores a face by its brightness: a dark one is real, a bright one fake.
Whoever reads a part only and says "real" has missed the fake.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image as Pillow

import unmask.demo
from helpers.clips import write_video
from helpers.heif import write_heic
from unmask.types import Image

SIDE = 160
"""Of the square picture of one face, in pixels."""

FRAMES = 24
"""Of a video: the first half shows the real face."""

Maker = Callable[[Path], None]


def face(brightness: float) -> Image:
    """A face of about 100 pixels, (SIDE, SIDE, 3), with all its brightness around `brightness`."""
    photograph = cv2.imread(str(Path(unmask.demo.__file__).parent / "1-photograph.jpg"))
    assert photograph is not None
    height, width = photograph.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = cv2.resize(photograph[top : top + side, left : left + side], (SIDE, SIDE))
    grey = cv2.cvtColor(square, cv2.COLOR_BGR2GRAY).astype(np.float32)
    shown = np.clip((grey - grey.mean()) * 0.4 + brightness, 0, 255).astype(np.uint8)
    return np.repeat(shown[..., None], 3, axis=2)


REAL, FAKE = face(70), face(190)


def both_faces() -> Image:
    """The real face above the fake one: (2 · SIDE, SIDE, 3)."""
    return np.concatenate([REAL, FAKE])


def frames() -> list[Image]:
    """The real face, then the fake one, which move a little, as people do."""
    return [
        np.roll(REAL if number < FRAMES // 2 else FAKE, number % 4, axis=1)
        for number in range(FRAMES)
    ]


def picture(kind: str, *, mode: str = "RGB", **options: Any) -> Maker:
    """A maker of pictures that Pillow writes."""
    return lambda path: Pillow.fromarray(both_faces()).convert(mode).save(path, kind, **options)


def pages(kind: str, images: Callable[[], Sequence[Image]] = frames, **options: Any) -> Maker:
    """A maker of pictures with several pages or frames."""

    def make(path: Path) -> None:
        first, *others = [Pillow.fromarray(image) for image in images()]
        first.save(path, kind, save_all=True, append_images=others, **options)

    return make


def deep_png(path: Path) -> None:
    """A grey PNG of 16 bits."""
    grey = both_faces()[..., 0].astype(np.uint16) * 257
    Pillow.fromarray(grey).save(path, "PNG")


def palette_png(path: Path) -> None:
    """A PNG whose pixels are numbers of colours."""
    Pillow.fromarray(both_faces()).quantize(256).save(path, "PNG")


def video(codec: str, pix_fmt: str = "yuv420p", **options: str) -> Maker:
    """A maker of videos; the container is the one of the file's suffix."""
    options = {"b": "4M"} | options  # else old codecs blur the face until no finder knows it
    return lambda path: _no_result(
        write_video(path, frames(), fps=25, codec=codec, pix_fmt=pix_fmt, options=options)
    )


def contained(form: str, codec: str, container_options: Mapping[str, str] | None = None) -> Maker:
    """A maker of videos in a container that no suffix names, or that takes options."""

    def make(path: Path) -> None:
        file = io.BytesIO()
        with av.open(file, "w", format=form, container_options=dict(container_options or {})) as to:
            stream: Any = to.add_stream(codec, rate=25)
            stream.width = stream.height = SIDE
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.bit_rate = 4_000_000
            for number, image in enumerate(frames()):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                to.mux(stream.encode(frame))
            to.mux(stream.encode(None))
        path.write_bytes(file.getvalue())

    return make


def heic(columns: int) -> Maker:
    """A maker of a phone's photographs: one picture, or a grid of tiles."""
    if columns:
        tiles = lambda: [REAL, FAKE]  # noqa: E731
        return lambda path: _no_result(write_heic(path, tiles(), columns=columns))
    return lambda path: _no_result(write_heic(path, [both_faces()]))


def _no_result(_: object) -> None:
    """What was written is in the file."""


FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}

PICTURES: Mapping[str, Maker] = {
    "baseline.jpg": picture("JPEG", quality=92),
    "progressive.jpg": picture("JPEG", quality=92, progressive=True),
    "print.jpg": picture("JPEG", mode="CMYK", quality=92),
    "grey.jpg": picture("JPEG", mode="L", quality=92),
    "plain.png": picture("PNG"),
    "palette.png": palette_png,
    "deep.png": deep_png,
    "lossy.webp": picture("WEBP", quality=90),
    "lossless.webp": picture("WEBP", lossless=True),
    "plain.tif": picture("TIFF"),
    "packed.tif": picture("TIFF", compression="tiff_lzw"),
    "jpeg.tif": picture("TIFF", compression="jpeg"),
    "plain.bmp": picture("BMP"),
    "plain.ppm": picture("PPM"),
    "wavelets.jp2": picture("JPEG2000"),
    "one.avif": picture("AVIF", quality=85),
    "one.heic": heic(0),
    "grid.heic": heic(1),
}
"""Of which each shows both faces."""

ANIMATIONS: Mapping[str, Maker] = {
    "frames.gif": pages("GIF", duration=40),
    "frames.webp": pages("WEBP", duration=40, quality=90),
    "frames.apng.png": pages("PNG", duration=40),
}

SEVERAL: Mapping[str, Maker] = {
    "pages.tif": pages("TIFF", lambda: [REAL, FAKE]),
    "pages.mpo": pages("MPO", lambda: [REAL, FAKE]),
}
"""Of which the first picture is judged, and the others are named."""

VIDEOS: Mapping[str, Maker] = {
    "h264.mp4": video("libx264"),
    "h265.mp4": video("libx265", **{"x265-params": "log-level=none"}),
    "mpeg4.mp4": video("mpeg4"),
    "fragments.mp4": contained("mp4", "libx264", FRAGMENTED),
    "jpegs.mov": video("mjpeg", "yuvj420p"),
    "prores.mov": video("prores_ks", "yuv422p10le"),
    "h264.mkv": video("libx264"),
    "vp8.webm": video("libvpx"),
    "vp9.webm": video("libvpx-vp9"),
    "av1.mkv": video("libsvtav1", preset="12"),
    "mpeg4.avi": video("mpeg4"),
    "jpegs.avi": video("mjpeg", "yuvj420p"),
    "h264.ts": video("libx264"),
    "mpeg2.mpg": video("mpeg2video"),
    "sorenson.flv": video("flv1"),
    "windows.wmv": video("wmv2"),
    "studio.mxf": video("mpeg2video"),
    "h264.264": contained("h264", "libx264"),
    "jpegs.mjpeg": contained("mjpeg", "mjpeg"),
}

MEMBERS: Mapping[str, Maker] = {**PICTURES, **ANIMATIONS, **SEVERAL, **VIDEOS}


def write_members(folder: Path, names: Sequence[str] = tuple(MEMBERS)) -> dict[str, Path]:
    """Make the files, and say where each lies."""
    paths = {name: folder / name for name in names}
    for name, path in paths.items():
        MEMBERS[name](path)
    return paths
