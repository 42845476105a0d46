"""Each kind of file is read as what it is, and its fake part is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus.members import ANIMATIONS, FRAMES, MEMBERS, PICTURES, SEVERAL, VIDEOS
from unmask.detector import Detector, load_detector
from unmask.types import Label, Reason


@pytest.fixture(scope="module")
def detector(tiny_bundle: Path) -> Detector:
    return load_detector(str(tiny_bundle))


@pytest.mark.parametrize("name", PICTURES)
def test_in_a_picture_both_faces_are_judged(detector: Detector, name: str, tmp_path: Path) -> None:
    MEMBERS[name](tmp_path / name)
    report = detector.scan(tmp_path / name)
    assert report.media.kind == "image"
    assert len(report.people) == 2
    assert report.verdict.label is Label.FAKE
    assert report.media.unseen == ()


@pytest.mark.parametrize("name", [*ANIMATIONS, *VIDEOS])
def test_a_video_is_read_to_its_end(detector: Detector, name: str, tmp_path: Path) -> None:
    MEMBERS[name](tmp_path / name)
    report = detector.scan(tmp_path / name)
    assert (report.media.kind, report.media.frames_read) == ("video", FRAMES)
    assert report.media.duration_s == pytest.approx(FRAMES / 25, abs=0.05)
    assert report.verdict.label is Label.FAKE
    assert report.media.unseen == ()


@pytest.mark.parametrize("name", SEVERAL)
def test_further_pictures_are_named(detector: Detector, name: str, tmp_path: Path) -> None:
    MEMBERS[name](tmp_path / name)
    report = detector.scan(tmp_path / name)
    assert report.verdict.label is Label.INCONCLUSIVE
    assert Reason.PARTLY_UNSEEN in report.verdict.reasons
