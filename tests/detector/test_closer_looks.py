"""A bundle of two parts: its slow part sees the best few faces, and all scores move with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.clips import write_video
from unmask.bundle.session import Scored
from unmask.detector import Detector
from unmask.detector.closer_looks import (
    LOOKS_PER_FILE,
    LOOKS_PER_PERSON,
    apply_closer_looks,
    plan_closer_looks,
)
from unmask.detector.scoring import CropScore
from unmask.report import to_json
from unmask.testing import FakeFinder, FakeScorer
from unmask.types import Face, Label, Quality, Score

BOX = (20.0, 20.0, 100.0, 100.0)


class TwoParts(FakeScorer):
    """The quick part sees brightness; the slow one adds `adds`.

    seen: how many crops each part was given.
    """

    has_quick = True

    def __init__(self, adds: float) -> None:
        super().__init__()
        self.adds = adds
        self.seen = {"quick": 0, "slow": 0}

    def score(
        self, crops: Sequence[np.ndarray], *, explain: bool = False, quick: bool = False
    ) -> Scored:
        scored = super().score(crops, explain=explain)
        self.seen["quick" if quick else "slow"] += len(crops)
        if quick:
            return scored
        maps = None if scored.heatmaps is None else scored.heatmaps + np.float32(self.adds)
        return Scored(scored.logits + np.float32(self.adds), maps, None)


def toned(tones: Sequence[int]) -> list[np.ndarray]:
    return [np.full((120, 160, 3), tone, np.uint8) for tone in tones]


def test_all_faces_of_a_picture_are_seen_by_both_parts(tmp_path: Path) -> None:
    scorer = TwoParts(adds=7.0)
    Image.fromarray(toned([128])[0]).save(tmp_path / "a.png")
    report = Detector(scorer, FakeFinder(BOX)).scan(tmp_path / "a.png", stability=False)
    assert scorer.seen == {"quick": 1, "slow": 1}
    assert report.people[0].scores[0].logit == pytest.approx(7.0)
    assert report.verdict.label is Label.FAKE


def test_many_pictures_are_scored_together_and_alike(tmp_path: Path) -> None:
    paths = []
    for number, tone in enumerate((20, 128, 240)):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(toned([tone])[0]).save(paths[-1])
    judge = Detector(TwoParts(adds=1.0), FakeFinder(BOX))
    together = [report.verdict for report in judge.scan_many(paths, jobs=2)]  # type: ignore[union-attr]
    assert together == [judge.scan(path).verdict for path in paths]


def test_in_a_clip_the_slow_part_sees_a_few_faces_and_moves_all(tmp_path: Path) -> None:
    scorer = TwoParts(adds=7.0)
    clip = write_video(tmp_path / "clip.mp4", toned([128] * 90))
    report = Detector(scorer, FakeFinder(BOX)).scan(clip, frames=16, explain=True, stability=False)
    (person,) = report.people
    assert scorer.seen["quick"] == 16
    # besides those, the slow part tests the heat map of the strongest face
    assert LOOKS_PER_PERSON <= scorer.seen["slow"] <= LOOKS_PER_PERSON + 42
    assert sum(not score.quick for score in person.scores) == LOOKS_PER_PERSON
    faces = to_json(report)["people"][0]["faces"]
    assert [face.get("quick", False) for face in faces] == [s.quick for s in person.scores]
    logits = [score.logit for score in person.scores]
    assert logits == pytest.approx([logits[0]] * 16)
    assert logits[0] == pytest.approx(7.0, abs=0.3)
    for score in person.scores:
        assert score.heatmap is not None
        assert score.heatmap.mean() == pytest.approx(score.logit, abs=1e-3)
    assert report.verdict.label is Label.FAKE
    # the face that stands for the verdict, with its map, is one that both parts saw
    assert person.exhibits[0].role == "strongest"
    assert not person.exhibits[0].score.quick


def test_mild_changes_are_tried_with_the_quick_part(tmp_path: Path) -> None:
    scorer = TwoParts(adds=3.0)
    Image.fromarray(toned([128])[0]).save(tmp_path / "a.png")
    report = Detector(scorer, FakeFinder(BOX)).scan(tmp_path / "a.png")
    assert scorer.seen == {"quick": 1 + 5, "slow": 1}
    # nothing changes the brightness, so no change moves the verdict of both parts together
    probability = report.verdict.probability_fake
    assert probability is not None
    for variant in report.people[0].stability:
        assert variant.probability_fake == pytest.approx(probability, abs=0.02)


def face(number: int, size_px: float = 100.0) -> Face:
    quality = Quality(size_px, brightness=100.0, sharpness=50.0, inside=1.0)
    return Face(number, number / 10, BOX, 0.9, None, quality, number)


def person(count: int, first: int = 0, probability: float = 0.5) -> list[Score]:
    return [Score(face(n), 0.0, probability) for n in range(first, first + count)]


def test_the_best_faces_are_looked_at_spread_over_time() -> None:
    scores = person(40)
    best = [5, 17, 22, 39]
    for number in best:
        scores[number] = Score(face(number, size_px=200.0), 0.0, 0.5)
    (stretch,) = plan_closer_looks([scores], range(40))
    assert stretch.faces == tuple(range(40))
    assert stretch.looked_at == tuple(best)
    # faces whose crops were not kept cannot be looked at
    (stretch,) = plan_closer_looks([scores], [1, 2, 30])
    assert stretch.looked_at == (1, 2, 30)


def test_many_people_share_the_looks() -> None:
    few = plan_closer_looks([person(10, first=10 * n) for n in range(10)], range(100))
    assert {len(stretch.looked_at) for stretch in few} == {LOOKS_PER_FILE // 10}
    crowd = plan_closer_looks([person(1 + n % 2, first=2 * n) for n in range(50)], range(100))
    assert len(crowd) == LOOKS_PER_FILE
    # those seen more often come first
    assert {len(stretch.faces) for stretch in crowd} == {2}


def test_a_stretch_that_looks_fake_is_treated_apart() -> None:
    scores = [Score(face(n), 0.0, 0.95 if 10 <= n < 20 else 0.1) for n in range(30)]
    stretches = plan_closer_looks([scores], range(30))
    assert {stretch.faces for stretch in stretches} == {
        tuple(range(10, 20)),
        (*range(10), *range(20, 30)),
    }
    before = {n: CropScore(0.0, None, None) for n in range(30)}
    looked_at = [n for stretch in stretches for n in stretch.looked_at]
    closer = {n: CropScore(5.0 if 10 <= n < 20 else -5.0, None, None) for n in looked_at}
    after = apply_closer_looks(before, stretches, closer)
    assert [after[n].logit for n in range(30)] == [-5.0] * 10 + [5.0] * 10 + [-5.0] * 10


def test_faces_that_could_not_be_judged_are_left_out() -> None:
    scores = [*person(3), Score(face(3), None, None)]
    (stretch,) = plan_closer_looks([scores], range(4))
    assert stretch.faces == (0, 1, 2)
    assert plan_closer_looks([[Score(face(0), None, None)]], [0]) == []
