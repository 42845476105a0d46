"""People in clips made by code, by the real finder and SFace; the pictures are the demo's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.people import CASES, faces_of, make_clip, measure
from unmask.detector import Detector
from unmask.faces import load_finder
from unmask.testing import FakeScorer
from unmask.types import Image


@pytest.fixture(scope="module")
def people() -> dict[str, list[Image]]:
    """Three faces, each at several brightnesses."""
    import unmask.demo

    folder = Path(unmask.demo.__file__).parent
    found = {}
    for who, name in zip(
        "abc", ("2-generated.jpg", "3-generated.jpg", "4-swapped.jpg"), strict=True
    ):
        (picture,) = faces_of(folder / name)
        found[who] = [
            np.clip(picture * light, 0, 255).astype(np.uint8) for light in (1.0, 0.9, 1.1)
        ]
    return found


@pytest.mark.parametrize("case", list(CASES))
def test_people_are_told_apart(case: str, people: dict[str, list[Image]], tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", case, people)
    report = Detector(FakeScorer(), load_finder("yunet")).scan(clip, stability=False)
    purity, completeness, count = measure(report, case)
    assert purity == 1
    assert completeness == 1
    assert count == {"cuts": 2, "crossing": 2, "returning": 1, "places": 2, "coming": 3}[case]


def test_a_street(shared: Path) -> None:
    """Up to eight small faces: no two in one frame are ever one person, and those who stay are one
    person each."""
    report = Detector(FakeScorer(), load_finder("yunet")).scan(
        shared / "media" / "several_people.mp4", stability=False
    )
    for person in report.people:
        frames = [score.face.frame for score in person.scores]
        assert len(frames) == len(set(frames))
    assert [len(person.scores) for person in report.people][:3] >= [30, 30, 25]
    assert len(report.people) <= 20
