"""The shipped bundle still reaches what its card says, measured anew on the test split it never saw."""

from __future__ import annotations

from pathlib import Path

import pytest

from unmask.detector import load_detector
from unmask.lab.evaluate import measure, score_items
from unmask.lab.manifest import read_manifests
from unmask.types import Label


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dfdc_faces-test", "lfw_real", "gan_portraits"])
def test_the_card_is_true(shared: Path, name: str) -> None:
    detector = load_detector()
    items = read_manifests([shared / "data" / f"{name}.parquet"])
    scores = score_items(detector, items, crops=True)
    assert not any(scores.faults)
    ((dataset, found),) = measure(detector, items, scores)["datasets"].items()
    said = detector.bundle.card.text["metrics"][dataset]
    for key in ("auc", "brier", "fpr_at_threshold"):
        assert found[key] == (None if said[key] is None else pytest.approx(said[key], abs=0.003)), key


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("same_scene/real.mp4", Label.FAKE),
        ("same_scene/fake.mp4", Label.REAL),
        ("dfdc_sample/abofeumbvv.mp4", Label.REAL),
        ("dfdc_sample/abqwwspghj.mp4", Label.REAL),
        ("several_people.mp4", Label.FAKE),
    ],
)
def test_no_clip_at_hand_is_judged_wrongly(shared: Path, name: str, wrong: Label) -> None:
    assert load_detector().scan(shared / "media" / name).verdict.label is not wrong
