"""Invisible marks of generators, written here and by the package that the generators use."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from unmask import load_detector
from unmask.provenance.generator_marks import MESSAGES, allowed_errors, read_mark
from unmask.types import Image as Pixels


@pytest.fixture
def photograph(demo: Path) -> Pixels:
    return np.asarray(Image.open(demo / "1-photograph.jpg").convert("RGB"))


def marked(picture: Pixels, message: str) -> Pixels:
    """The picture with this message, written block by block as the format says."""
    yuv = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV).astype(np.float64)
    u = yuv[..., 1]
    height, width = (side // 8 * 8 for side in u.shape)
    number = 0
    for top in range(0, height, 8):
        for left in range(0, width, 8):
            square = u[top : top + 8, left : left + 8]
            means = square.reshape(4, 2, 4, 2).sum(axis=(1, 3)) / 2  # 4 × 4
            place = int(np.abs(means.ravel()[1:]).argmax()) + 1
            row, column = divmod(place, 4)
            wanted = (
                means[row, column] // 36 + 0.25 + 0.5 * int(message[number % len(message)])
            ) * 36
            # the mean of 2 × 2 pixels is half their sum: each rises by half of what it should
            square[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] += (
                wanted - means[row, column]
            ) / 2
            number += 1
    back = np.clip(np.round(yuv), 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(back, cv2.COLOR_YUV2RGB))


@pytest.mark.parametrize("name", list(MESSAGES))
def test_a_mark_is_read_with_the_name_of_its_generator(photograph: Pixels, name: str) -> None:
    found = read_mark(marked(photograph, MESSAGES[name]))
    assert found is not None
    assert found[0] == name
    assert found[1] >= found[2] - allowed_errors(found[2])
    assert found[2] == len(MESSAGES[name])


@pytest.mark.slow  # CI installs the package for the slow tests
@pytest.mark.parametrize("name", list(MESSAGES))
def test_marks_of_the_generators_own_package_are_read(photograph: Pixels, name: str) -> None:
    package = pytest.importorskip(
        "imwatermark",
        reason="pip install --no-deps invisible-watermark==0.2.0 PyWavelets==1.9.0",
    )
    encoder = package.WatermarkEncoder()
    encoder.set_watermark("bits", [int(bit) for bit in MESSAGES[name]])
    written = encoder.encode(cv2.cvtColor(photograph, cv2.COLOR_RGB2BGR), "dwtDct")
    found = read_mark(cv2.cvtColor(written, cv2.COLOR_BGR2RGB))
    assert found is not None
    assert found[0] == name


def test_other_pictures_carry_none(demo: Path, photograph: Pixels) -> None:
    for path in demo.glob("*.jpg"):
        assert read_mark(np.asarray(Image.open(path).convert("RGB"))) is None
    assert read_mark(np.zeros((512, 512, 3), np.uint8)) is None
    rng = np.random.default_rng(1)
    assert read_mark(rng.integers(0, 256, (512, 512, 3), np.uint8)) is None
    other = "01" * 24
    assert read_mark(marked(photograph, other)) is None


def test_a_message_with_more_errors_than_chance_allows_is_none(photograph: Pixels) -> None:
    message = MESSAGES["Stable Diffusion XL"]
    wrong = "".join("10"[int(bit)] for bit in message[:8]) + message[8:]
    assert read_mark(marked(photograph, wrong)) is None


def test_a_picture_too_small_for_a_mark_is_not_looked_at(photograph: Pixels) -> None:
    small = cv2.resize(marked(photograph, MESSAGES["FLUX.1"]), (255, 255))
    assert read_mark(np.asarray(small)) is None


def test_a_report_says_what_was_found_and_what_was_looked_for(
    photograph: Pixels, tiny_bundle: Path, tmp_path: Path
) -> None:
    from unmask.report.files import view_of

    detector = load_detector(str(tiny_bundle))
    path = tmp_path / "marked.png"
    Image.fromarray(marked(photograph, MESSAGES["FLUX.1"])).save(path)
    report = detector.scan(path)
    assert "FLUX.1" in report.provenance.traces["generator_mark"]
    assert report.provenance.ai_generated
    rows = dict(view_of(report, detector.bundle.card)["traces"])
    assert "of 48 bits" in rows["A generator's mark"]
    assert "Invisible marks" not in rows

    Image.fromarray(photograph).save(path)
    report = detector.scan(path)
    assert "generator_mark" not in report.provenance.traces
    assert not report.provenance.ai_generated
    rows = dict(view_of(report, detector.bundle.card)["traces"])
    assert rows["Invisible marks"] == (
        "none of Stable Diffusion 1, Stable Diffusion 2, Stable Diffusion XL, FLUX.1 was found,"
        " which says nothing"
    )


def test_saving_as_jpeg_loses_it(photograph: Pixels) -> None:
    """So that nobody takes its absence for evidence: this is what happens on every platform."""
    saved = io.BytesIO()
    Image.fromarray(marked(photograph, MESSAGES["Stable Diffusion XL"])).save(
        saved, "JPEG", quality=90
    )
    assert read_mark(np.asarray(Image.open(saved))) is None
