"""Heads for videos: what they learn from, whom they do not see, and on which scale they speak."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unmask.bundle.calibration import Calibration
from unmask.errors import LabError
from unmask.lab.data.manifest import Item
from unmask.lab.training.video_head import (
    ClipLooks,
    cross_fitted,
    fit_video_heads,
    fit_video_mix,
    folds_of,
    logits_of,
)

BLOCKS = (3, 5)
WIDTH = 4 * 768


def looks(count: int = 80, strength: float = 1.0) -> ClipLooks:
    """Clips of ten data sets, half of each fake; one direction of what is said tells the class."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    said = rng.normal(size=(count, WIDTH))
    said[:, 7] += strength * 6 * (labels - 0.5)
    items = tuple(
        Item(f"{n}.mp4", int(label), f"set {n % 10}", "validation", str(n), path=Path(f"{n}.mp4"))
        for n, label in enumerate(labels)
    )
    return ClipLooks(items, said.astype(np.float32), labels * 1.0 + rng.normal(size=count))


def test_heads_say_of_the_mean_what_they_learnt() -> None:
    seen = looks()
    heads = fit_video_heads(seen, BLOCKS, np.ones(80))
    assert [head.block for head in heads] == [3, 5]
    assert {head.weight.shape for head in heads} == {(1536,)}
    assert heads[1].bias == 0  # the sum's stands in the first
    logits = logits_of(heads, seen)
    assert ((logits > 0) == (seen.labels == 1)).mean() > 0.95
    # another scale and place of what is said changes nothing
    other = ClipLooks(seen.clips, seen.said * 5 + 40, seen.small)
    again = logits_of(fit_video_heads(other, BLOCKS, np.ones(80)), other)
    assert again == pytest.approx(logits, abs=0.02)


def test_nobody_is_judged_by_heads_that_saw_their_data_set() -> None:
    seen = looks()
    parts = cross_fitted(seen, BLOCKS, np.ones(80))
    folds = folds_of(seen.clips)
    for rows, heads in parts:
        (fold,) = set(folds[rows])
        again = fit_video_heads(seen, BLOCKS, np.ones(80), folds != fold)
        assert np.array_equal(heads[0].weight, again[0].weight)
        inside = {clip.dataset for clip, here in zip(seen.clips, rows, strict=True) if here}
        outside = {clip.dataset for clip, here in zip(seen.clips, rows, strict=True) if not here}
        assert not inside & outside
    assert sum(rows.sum() for rows, _ in parts) == 80


def test_too_few_data_sets_are_an_error() -> None:
    seen = looks()
    two = tuple(
        Item(clip.name, clip.label, ("real", "fake")[clip.label], "validation", clip.group)
        for clip in seen.clips
    )
    with pytest.raises(LabError, match="a data set of its own"):
        cross_fitted(ClipLooks(two, seen.said, seen.small), BLOCKS, np.ones(80))


def test_large_data_sets_and_trained_clips_count_less() -> None:
    def clip(dataset: str, label: int, split: str = "validation") -> Item:
        return Item("a", label, dataset, split, "a")

    items = (*[clip("large", 1)] * 4, clip("small", 1), clip("large", 0), clip("known", 1, "train"))
    seen = ClipLooks(items, np.zeros((7, WIDTH), np.float32), np.zeros(7))
    assert seen.weights("train") == pytest.approx([0.5, 0.5, 0.5, 0.5, 1, 1, 0.4])


def test_the_mixture_speaks_on_the_cards_scale() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(4000) % 2
    heads = (labels - 0.5) * 2 + rng.normal(size=4000)
    small = (labels - 0.5) + rng.normal(size=4000) + 3  # another centre must not matter
    calibration = Calibration("temperature", temperature=2.0, bias=-0.5)
    mix = fit_video_mix(heads, small, labels, np.ones(4000), calibration)
    logit = mix.small * small + mix.tower * heads + mix.constant
    probability = calibration.probabilities(logit)
    # of clips that are called 70 to 80 % fake, so many are
    some = (probability > 0.7) & (probability < 0.8)
    assert labels[some].mean() == pytest.approx(0.75, abs=0.06)
    assert (mix.small * small).std() == pytest.approx(0.5 * (mix.tower * heads).std(), rel=1e-3)
    quick = mix.quick_slope * small + mix.quick_constant
    assert np.mean(logit - quick) == pytest.approx(0, abs=1e-6)
    with pytest.raises(LabError, match="do not tell the clips"):
        fit_video_mix(-heads, -small, labels, np.ones(4000), calibration)
    with pytest.raises(LabError, match="calibration by temperature"):
        fit_video_mix(heads, small, labels, np.ones(4000), Calibration("isotonic"))
