from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.provenance_files import as_bytes
from unmask.detector import Detector
from unmask.provenance.double_jpeg import roughness
from unmask.testing import FakeFinder, FakeScorer


def textured(seed: int, side: int = 256) -> Image.Image:
    """Detail at all scales, as photographs have."""
    rng = np.random.default_rng(seed)
    image = np.zeros((side, side, 3))
    for scale in (4, 8, 16, 32, 64, 128, 256):
        layer = rng.normal(0, 60 / scale**0.5, (scale, scale, 3))
        part = [
            Image.fromarray(layer[..., c].astype(np.float32)).resize((side, side), 3)
            for c in range(3)
        ]
        image += np.stack([np.asarray(p) for p in part], axis=-1)
    return Image.fromarray(np.clip(image + 128, 0, 255).astype(np.uint8))


def saved(image: Image.Image, *qualities: int) -> tuple[np.ndarray, list[int]]:
    data = b""
    for quality in qualities:
        data = as_bytes(image, quality=quality)
        image = Image.open(io.BytesIO(data))
    return np.asarray(image.convert("RGB")), list(Image.open(io.BytesIO(data)).quantization[0])  # type: ignore[attr-defined]


@pytest.mark.parametrize("quality", [75, 85, 92])
def test_once_is_smooth_and_twice_is_rough(quality: int) -> None:
    for seed in range(5):
        once = roughness(*saved(textured(seed), quality))
        twice = roughness(*saved(textured(seed), quality - 20, quality))
        assert once is not None
        assert once < 5
        assert twice is not None
        assert twice > 5


def test_the_size_does_not_matter() -> None:
    small, large = (roughness(*saved(textured(0, side), 60, 85)) for side in (256, 1024))
    assert small is not None
    assert large is not None
    assert min(small, large) > 5


def test_too_small_to_tell() -> None:
    assert roughness(*saved(textured(0, 64), 60, 85)) is None
    assert roughness(np.zeros((256, 256, 3), np.uint8), [1] * 64) is None


@pytest.mark.parametrize(("qualities", "told"), [((85,), False), ((60, 85), True)])
def test_a_scan_says_so(tmp_path: Path, qualities: tuple[int, ...], told: bool) -> None:
    image = textured(1)
    for quality in qualities:
        data = as_bytes(image, quality=quality)
        image = Image.open(io.BytesIO(data))
    (tmp_path / "a.jpg").write_bytes(data)
    report = Detector(FakeScorer(), FakeFinder((20.0, 20.0, 100.0, 100.0))).scan(tmp_path / "a.jpg")
    assert ("saved_twice" in report.provenance.traces) is told
