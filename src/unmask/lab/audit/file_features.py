"""What a file tells without its faces: the facts that a shortcut would learn."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image as PillowImage

from unmask.errors import ManifestError, MediaError
from unmask.lab.data.manifest import FACT, Item
from unmask.lab.data.samples import watched, worker_pool
from unmask.media import open_media

Facts = dict[str, float | str | None]

PIXEL_FACTS = frozenset(
    {"mean_red", "mean_green", "mean_blue", "contrast", "sharpness", "noise", "blockiness"}
)
"""Properties of the pixels as a whole; the others are properties of the file alone."""

NOT_TOLD = frozenset({f"{FACT}frame", f"{FACT}time_s"})
"""Facts of where in the file a crop was cut, which sampling gives to both classes alike."""


def all_facts(items: Sequence[Item], jobs: int = 2) -> list[Facts]:
    """The facts of each item; none of a file that cannot be read."""
    with worker_pool(jobs) as run:
        return list(watched(run(item_facts, items), len(items), "reading facts"))


def item_facts(item: Item) -> Facts:
    """The features of a picture file.

    Format, bytes per pixel, JPEG tables and subsampling, size, metadata, colour, sharpness, noise.

    Of a video: container and codec, bit rate, size, rate, length, software. With those that `data
    prepare` kept.
    """
    kept: Facts = {key: value for key, value in item.facts.items() if key not in NOT_TOLD}
    duration, size = kept.pop(f"{FACT}duration_s", None), kept.pop(f"{FACT}bytes", None)
    if isinstance(duration, float) and isinstance(size, int | float) and duration > 0:
        kept |= {f"{FACT}duration_s": duration, f"{FACT}bit_rate": size * 8 / duration}
    try:
        if item.data is not None:
            return kept | _picture(item.data)
        if item.path is None:
            return kept
        with open_media(item.path) as source:
            if source.media.kind == "image":
                return kept | _picture(item.path.read_bytes())
            media, tags = source.media, source.tags
            seconds = media.duration_s or 0.0
            return {
                "format": tags.get("format", ""),
                "codec": tags.get("codec", ""),
                "software": tags.get("encoder") or tags.get("software") or "",
                "width": media.width,
                "height": media.height,
                "aspect": media.width / media.height,
                "duration_s": seconds,
                "fps": float(media.fps) if media.fps else None,
                "bit_rate": os.path.getsize(media.path) * 8 / seconds if seconds else None,
            }
    except (MediaError, ManifestError, OSError, ValueError):
        return kept


def _picture(data: bytes) -> Facts:
    with PillowImage.open(io.BytesIO(data)) as picture:
        tables = getattr(picture, "quantization", None) or {}
        luma = np.array(tables[0], float) if 0 in tables else None
        exif = picture.getexif()
        facts: Facts = {
            "format": picture.format or "",
            "mode": picture.mode,
            "width": picture.width,
            "height": picture.height,
            "aspect": picture.width / picture.height,
            "bytes_per_pixel": len(data) / (picture.width * picture.height),
            "jpeg_luma_table": None if luma is None else float(luma.sum()),
            "jpeg_chroma_table": float(sum(tables[1])) if 1 in tables else None,
            "jpeg_subsampling": _subsampling(picture),
            "jpeg_progressive": float(bool(picture.info.get("progressive"))),
            "exif_entries": float(len(exif)),
            "software": str(exif.get(0x0131) or picture.info.get("Software") or ""),
            "icc_bytes": float(len(picture.info.get("icc_profile") or b"")),
        }
        image = np.asarray(picture.convert("RGB"))
    return facts | pixel_facts(image)


def _subsampling(picture: Any) -> str:
    layers = getattr(picture, "layer", None)
    return ",".join(f"{h}x{v}" for _, h, v, *_ in layers) if layers else ""


def pixel_facts(image: Any) -> Facts:
    """The `PIXEL_FACTS` of a picture, (h, w, 3) uint8 RGB."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    means = image.reshape(-1, 3).mean(axis=0)
    high = grey - cv2.GaussianBlur(grey, (0, 0), 1.0)
    across, inside = np.abs(np.diff(grey, axis=1)), np.ones(max(grey.shape[1] - 1, 1), bool)
    inside[7::8] = False  # borders of JPEG's 8×8 blocks
    between = across[:, 7::8].mean() if grey.shape[1] > 8 else np.nan
    return {
        "mean_red": float(means[0]),
        "mean_green": float(means[1]),
        "mean_blue": float(means[2]),
        "contrast": float(grey.std()),
        "sharpness": float(cv2.Laplacian(grey, cv2.CV_32F).var()),
        "noise": float(np.median(np.abs(high)) * 1.4826),
        "blockiness": float(between / max(float(across[:, inside].mean()), 1e-6)),
    }
