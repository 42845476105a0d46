"""Figures source by source, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unmask.lab.data.manifest import Item
from unmask.lab.evaluation.sources import SMALLEST, by_method, by_source, summary


def rows(name: str, label: int, count: int) -> list[Item]:
    return [Item(f"{name}{i}", label, name, "test", f"{name}{i}") for i in range(count)]


def test_each_source_against_each_of_the_other_class_by_hand() -> None:
    n = SMALLEST
    items = [
        *rows("gan", 1, n + 1),
        *rows("press", 0, n),
        *rows("studio", 0, n),
        *rows("few", 0, 2),
    ]
    # fakes at 0.6; press below all of them, studio half below and half above; one fake not judged
    scores = np.concatenate(
        [[np.nan], np.full(n, 0.6), np.full(n, 0.1), np.tile([0.2, 0.9], n // 2), [0.7, 0.7]]
    )
    figures = by_source(items, scores, real_threshold=0.2, fake_threshold=0.8, left_out={"studio"})
    gan, few, studio, press = figures
    assert [one.source for one in figures] == ["gan", "few", "studio", "press"]
    assert gan.n == n
    assert gan.auc_mean == pytest.approx((1 + 0.5) / 2)  # nobody is measured against two faces
    assert (gan.auc_lowest, gan.against) == (0.5, "studio")
    assert (gan.wrong, gan.undecided) == (0.0, 1.0)
    assert (studio.auc_mean, studio.wrong, studio.undecided) == (0.5, 0.5, 0.0)
    assert (studio.left_out, press.left_out) == (True, False)
    assert (few.n, few.auc_mean) == (2, 0.0)
    totals = summary(figures)
    assert totals["real"]["worst"] == "studio"
    assert totals["real"]["sources"] == 2  # `few` is too small to count
    assert totals["real"]["wrong_worst"] == 0.5
    assert totals["fake"]["auc_mean"] == gan.auc_mean


def test_a_source_without_an_opposite_has_no_auc() -> None:
    (only,) = by_source(rows("gan", 1, 3), np.full(3, 0.5), real_threshold=0.2, fake_threshold=0.8)
    assert (only.auc_mean, only.auc_lowest, only.against) == (None, None, "")
    assert summary([only]) == {}


def test_each_method_against_all_real_faces_by_hand() -> None:
    fakes = [
        *(replace(item, method="swap") for item in rows("a", 1, 2)),
        *(replace(item, method="gan") for item in rows("b", 1, 2)),
        *rows("c", 1, 1),
    ]
    scores = np.array([0.9, 0.5, 0.1, np.nan, 0.95, 0.3, 0.6])
    swap, unnamed, gan = sorted(
        by_method([*fakes, *rows("d", 0, 2)], scores, real_threshold=0.2, fake_threshold=0.8),
        key=lambda row: ["swap", "not named", "gan"].index(row["method"]),
    )
    assert (swap["n"], gan["n"], unnamed["n"]) == (2, 1, 1)
    assert (swap["auc"], gan["auc"], unnamed["auc"]) == (0.75, 0.0, 1.0)
    assert (swap["found"], swap["undecided"], swap["missed"]) == (0.5, 0.5, 0.0)
    assert (gan["found"], gan["missed"]) == (0.0, 1.0)
