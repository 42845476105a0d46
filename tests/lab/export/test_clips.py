"""Thresholds for clips, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unmask.analysis.timeline import log_odds
from unmask.bundle import Bundle
from unmask.detector import Detector
from unmask.errors import LabError
from unmask.faces import load_finder
from unmask.lab.data.manifest import Item
from unmask.lab.export.clips import MARGIN, ClipScores, choose_clip_thresholds, score_clips


def clips(reals: list[float], fakes: list[float]) -> ClipScores:
    labels = np.array([0] * len(reals) + [1] * len(fakes))
    names = tuple(str(number) for number in range(len(labels)))
    return ClipScores(labels, np.array(reals + fakes), names)


def test_fake_lies_above_every_real_clip_and_real_below_nearly_all_fakes() -> None:
    reals = [0.45, 0.55] * 9 + [0.6, 0.6]  # so alike that the margin decides
    fakes = [0.2, 0.3, *[0.9] * 18]
    chosen = choose_clip_thresholds(clips(reals, fakes), misses=0.1)
    assert log_odds(chosen["fake"]["probability"]) == pytest.approx(log_odds(0.6) + MARGIN)
    assert (chosen["fake"]["n"], chosen["fake"]["wrong"]) == (20, 0)
    # a tenth of twenty fakes may be missed: two lie at or below 0.3
    assert chosen["real"]["probability"] == pytest.approx(0.3)
    assert (chosen["real"]["n"], chosen["real"]["wrong"]) == (20, 2)


def test_reals_that_differ_much_push_the_threshold_for_fakes_up() -> None:
    # log-odds -2 and 0, ten of each: mean -1, s 1.026; t(19, 0.99) = 2.539; √(1 + 1/20) = 1.0247
    reals = [1 / (1 + np.exp(2)), 0.5] * 10
    chosen = choose_clip_thresholds(clips(reals, [0.99] * 20), misses=0.05)
    limit = -1 + 2.539 * 1.0260 * 1.0247
    assert log_odds(chosen["fake"]["probability"]) == pytest.approx(limit, abs=0.002)


def test_one_clip_that_stands_out_moves_the_threshold_beyond_it() -> None:
    real = choose_clip_thresholds(clips([0.1] * 9 + [0.99], [0.999] * 10), misses=0.05)
    assert real["fake"]["probability"] > 0.99
    assert real["fake"]["wrong"] == 0
    fake = choose_clip_thresholds(clips([0.1] * 10, [0.001] + [0.9] * 9), misses=0.05)
    assert fake["real"]["probability"] < 0.001  # one of ten would be twice the share


def test_they_are_never_bolder_than_an_even_chance() -> None:
    bold = choose_clip_thresholds(clips([0.001] * 10, [0.99] * 10), misses=0.05)
    assert bold["fake"]["probability"] == 0.5
    assert bold["real"]["probability"] == 0.5


def test_too_few_clips_are_an_error() -> None:
    with pytest.raises(LabError, match="at least 10 real and 10 fake clips"):
        choose_clip_thresholds(clips([0.1] * 9, [0.9] * 10), misses=0.05)


def test_clips_are_scanned_and_those_without_a_face_left_out(tiny_bundle: Path, demo: Path) -> None:
    detector = Detector(Bundle(tiny_bundle), load_finder("yunet"))
    generated = next(demo.glob("5-*.mp4"))
    no_face = next(demo.glob("6-*"))
    items = [
        Item(path.name, label, "demo", "validation", path.name, path=path)
        for path, label in ((no_face, 0), (generated, 1))
    ]
    scores = score_clips(detector, items)
    assert scores.names == (generated.name,)
    assert scores.labels.tolist() == [1]
    assert scores.probabilities[0] == detector.scan(generated).verdict.probability_fake
