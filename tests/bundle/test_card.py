from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from unmask.bundle import Calibration, Gates
from unmask.bundle.card import parse_card
from unmask.errors import BundleFormatError
from unmask.testing import example_card
from unmask.types import Pointing, Quality, Reason


def changed(path: str, value: Any) -> dict[str, Any]:
    card = copy.deepcopy(example_card())
    *parents, last = path.split(".")
    place = card
    for parent in parents:
        place = place[parent]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return card


def test_the_example_has_no_faults() -> None:
    card = parse_card(example_card())
    assert (card.name, card.crop.size, card.thresholds.fake) == ("example", 32, 0.9)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", "unmask.card/2"),
        ("name", ...),
        ("licence", 3),
        ("positive_class", "real"),
        ("positive_class", ...),
        ("preprocessing.colour_order", "BGR"),
        ("preprocessing.alignment", "none"),
        ("preprocessing.size", "224"),
        ("preprocessing.size", 2),
        ("preprocessing.margin", ...),
        ("preprocessing.mean", [0.5]),
        ("preprocessing.std", [1, 1, 0]),
        ("calibration.method", "hope"),
        ("calibration.temperature", 0),
        ("thresholds.fake.probability", 1.5),
        ("thresholds.real.probability", 0.95),
        ("thresholds.fake.false_positive_rate", ...),
        ("gates.min_size_px", ...),
        ("canaries.logits", []),
        ("canaries.logits", ["a"]),
        ("canaries.video_logits", ["a"]),
        ("canaries.video_logits", [1.0] * 9),
        ("canaries.tolerance", -1),
        ("metrics", []),
        ("limits", "none"),
    ],
)
def test_each_fault_is_named(path: str, value: Any) -> None:
    with pytest.raises(BundleFormatError, match=path.split(".", maxsplit=1)[0]):
        parse_card(changed(path, value))


def test_all_faults_at_once() -> None:
    with pytest.raises(BundleFormatError) as caught:
        parse_card({})
    for name in ("schema", "positive_class", "thresholds", "canaries", "preprocessing"):
        assert name in str(caught.value)


def test_temperature_by_hand() -> None:
    # logit 2 at temperature 2 and bias 1: sigmoid(2) = 0.880797
    assert Calibration("temperature", 2.0, 1.0).probability(2.0) == pytest.approx(
        0.880797, abs=1e-6
    )
    assert Calibration("temperature").probability(0.0) == 0.5


def test_isotonic_by_hand() -> None:
    calibration = parse_card(
        example_card(calibration={"method": "isotonic", "knots": [[-1, 0.1], [0, 0.2], [2, 0.8]]})
    ).calibration
    found = calibration.probabilities(np.array([-5, -0.5, 1, 9], np.float32))
    assert found == pytest.approx([0.1, 0.15, 0.5, 0.8])


@pytest.mark.parametrize(
    "knots", [None, [], [[0, 0.5]], [[0, 0.5], [0, 0.6]], [[0, 0.5], [1, 0.4]], [[0, 0], [1, 2]]]
)
def test_bad_knots(knots: Any) -> None:
    with pytest.raises(BundleFormatError, match="knots"):
        parse_card(example_card(calibration={"method": "isotonic", "knots": knots}))


@pytest.mark.parametrize("polarity", [1, -1])
def test_polarity_rises_with_the_logit(polarity: int) -> None:
    low, high = Calibration("temperature", 1.5, 0.1).probabilities(
        np.array([-1, 1], np.float32) * polarity
    )
    assert (low < high) == (polarity == 1)


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        (Quality(100, 100, 100, 1), None),
        (Quality(39, 100, 100, 1), Reason.FACE_TOO_SMALL),
        (Quality(40, 20, 50, 0.6), None),
        (Quality(100, 19, 100, 1), Reason.FACE_TOO_DARK),
        (Quality(100, 241, 100, 1), Reason.FACE_TOO_BRIGHT),
        (Quality(100, 100, 49, 1), Reason.FACE_TOO_BLURRED),
        (Quality(100, 100, 100, 0.59), Reason.FACE_CUT_OFF),
    ],
)
def test_gates(quality: Quality, reason: Reason | None) -> None:
    assert Gates(40, 0.6, 20, 240, 50).refuse(quality) is reason


def test_maps_point_only_where_that_is_more_than_chance() -> None:
    parts = {"faces": 200, "pointing": 0.8, "middle": 0.5, "p": 1e-6}
    card = parse_card(example_card(heatmaps={"parts": parts}))
    assert card.pointing == Pointing(200, 0.8, 0.5)
    for change in ({"p": 0.01}, {"middle": 0.85}, {"p": None}):
        assert parse_card(example_card(heatmaps={"parts": parts | change})).pointing is None
    assert parse_card(example_card()).pointing is None
    with pytest.raises(BundleFormatError, match=r"heatmaps.parts.pointing must be 0 to 1"):
        parse_card(example_card(heatmaps={"parts": parts | {"pointing": 1.5}}))


def test_thresholds_for_clips_are_whole_or_missing() -> None:
    thresholds = example_card()["thresholds"]
    assert parse_card(example_card()).thresholds.clip is None
    clip = {"min_faces": 8, "fake": {"probability": 0.7}, "real": {"probability": 0.3}}
    card = parse_card(example_card(thresholds=thresholds | {"clip": clip}))
    assert (card.thresholds.over(8).fake, card.thresholds.over(8).real) == (0.7, 0.3)
    assert (card.thresholds.over(7).fake, card.thresholds.over(7).real) == (0.9, 0.2)
    with pytest.raises(BundleFormatError, match=r"thresholds\.clip\.real\.probability is missing"):
        parse_card(example_card(thresholds=thresholds | {"clip": clip | {"real": {}}}))
    swapped = clip | {"real": {"probability": 0.8}}
    with pytest.raises(BundleFormatError, match=r"thresholds\.clip\.real \(0\.8\) lies above"):
        parse_card(example_card(thresholds=thresholds | {"clip": swapped}))
