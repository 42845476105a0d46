"""Media to measure with, made from the demo's generated faces, and reading without judging."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from unmask.demo import demo_media
from unmask.media import choose_frames, open_media


def make_clip(path: Path, seconds: int = 10) -> Path:
    """1080p, H.264 with x264's defaults: a face of 200 px wanders over a noisy background."""
    face = _pictures()[1]
    small = cv2.resize(face, (300, 300), interpolation=cv2.INTER_AREA)
    coarse = np.random.default_rng(0).integers(60, 190, (68, 120, 3), dtype=np.uint8)
    ground = cv2.resize(coarse, (1920, 1080), interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for number in range(seconds * 30):
            image = np.roll(ground, number * 2, axis=1)
            x = 800 + int(300 * np.sin(number / 40))
            image[380:680, x : x + 300] = small
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def make_pictures(folder: Path, count: int) -> list[Path]:
    """JPEGs of 640×480 to 1600×1200 with a face each, as a folder of web photographs has."""
    rng = np.random.default_rng(0)
    faces = _pictures()[1:4]
    paths = []
    for number in range(count):
        height = int(rng.choice([480, 720, 1200]))
        width = height * 4 // 3
        coarse = rng.integers(40, 210, (24, 32, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        side = int(height * rng.uniform(0.3, 0.7))
        x, y = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
        image[y : y + side, x : x + side] = cv2.resize(
            faces[number % 3], (side, side), interpolation=cv2.INTER_AREA
        )
        path = folder / f"{number:04}.jpg"
        cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
        paths.append(path)
    return paths


def plain_decode(path: Path, count: int) -> int:
    """The floor: decode the whole clip with all cores and turn the wanted frames into RGB; nothing
    else."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        total = stream.frames
        wanted = set(choose_frames(range(total), total, count))
        kept = 0
        for number, frame in enumerate(container.decode(stream)):
            if number in wanted:
                frame.to_ndarray(format="rgb24")
                kept += 1
    return kept


def read(path: Path, count: int) -> int:
    """Our own reader: sha-256, index, and the wanted frames."""
    with open_media(path) as source:
        return sum(1 for _ in source.frames(count))


def _pictures() -> list[Any]:
    return [cv2.imread(str(e.path))[..., ::-1] for e in demo_media() if e.path.suffix == ".jpg"]
