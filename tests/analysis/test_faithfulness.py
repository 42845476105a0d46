from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from unmask.analysis.faithfulness import blur, measure_faithfulness, random_maps
from unmask.bundle.card import parse_card
from unmask.bundle.session import Scored
from unmask.testing import FakeScorer, example_card
from unmask.types import Image


class CornerScorer(FakeScorer):
    """Sees only detail in the upper left quarter: the logit is its contrast."""

    def score(self, crops: Sequence[Image], *, explain: bool = False) -> Scored:
        logits = [crop[: len(crop) // 2, : len(crop) // 2].std() / 4 for crop in crops]
        return Scored(np.array(logits, np.float32), None, None)


def noise(seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (96, 96, 3), dtype=np.uint8)


def corner_map() -> np.ndarray:
    heat = np.zeros((6, 6), np.float32)
    heat[:3, :3] = np.arange(1, 10).reshape(3, 3)
    return heat


def scorer() -> CornerScorer:
    return CornerScorer(parse_card(example_card()))


def test_a_map_of_what_the_score_rests_on_is_faithful() -> None:
    found = measure_faithfulness(scorer(), noise(), corner_map(), shares=(0.1, 0.25))
    assert found.faithful
    assert found.p == pytest.approx(0.05)  # the best of twenty
    assert found.effect > found.random_effect
    assert found.deletion[0] == found.insertion[-1]  # all of the face
    assert found.deletion[-1] == found.insertion[0]  # none of it
    assert len(found.deletion) == len(found.shares) == 4


def test_a_map_of_other_places_is_not() -> None:
    found = measure_faithfulness(scorer(), noise(), corner_map()[::-1, ::-1])
    assert not found.faithful
    assert found.p > 0.3


def test_maps_of_a_score_that_looks_at_everything_are_rarely_faithful() -> None:
    """A permutation test: of maps without a meaning, one in twenty passes."""
    judge = FakeScorer()
    rng = np.random.default_rng(5)
    passed = [
        measure_faithfulness(judge, noise(n), rng.normal(size=(6, 6)).astype(np.float32)).faithful
        for n in range(60)
    ]
    assert np.mean(passed) <= 0.15


def test_random_maps_are_the_same_values_elsewhere() -> None:
    heat = corner_map()
    found = random_maps(heat, 19, np.random.default_rng(0))
    assert len(found) == 19
    for some in found:
        assert sorted(some.ravel()) == sorted(heat.ravel())
        assert not np.array_equal(some, heat)
    assert len({some.tobytes() for some in found}) >= 18


def test_the_same_face_gets_the_same_grade() -> None:
    assert measure_faithfulness(scorer(), noise(), corner_map()) == measure_faithfulness(
        scorer(), noise(), corner_map()
    )


def test_blurring_takes_detail_and_leaves_light() -> None:
    crop = noise()
    assert blur(crop).std() < crop.std() / 5
    assert blur(crop).mean() == pytest.approx(crop.mean(), abs=1)
