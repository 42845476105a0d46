from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from unmask.faces.alignment import CropSpec
from unmask.lab.data.manifest import Item, read_manifest
from unmask.lab.data.samples import Sample, find_samples
from unmask.lab.recipe import Augment
from unmask.lab.training.loader import Batches, Crops, Draws, sample_weights, with_pseudo_fakes


def samples(*rows: tuple[str, int, int]) -> list[Sample]:
    """rows: data set, label, how many."""
    marks = np.zeros((5, 2), np.float32)
    return [
        Sample(Item(f"{d}{i}", label, d, "train", d), marks, np.zeros(32, np.uint8))
        for d, label, count in rows
        for i in range(count)
    ]


def test_both_classes_are_drawn_equally_by_hand() -> None:
    weights = sample_weights(samples(("a", 0, 3), ("a", 1, 1)), {})
    assert weights == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_data_sets_are_drawn_by_their_weights_within_a_class() -> None:
    # reals: a (2) and b (6), weights 3 to 1; fakes: a only
    weights = sample_weights(samples(("a", 0, 2), ("b", 0, 6), ("a", 1, 4)), {"a": 3, "b": 1})
    assert weights[:2] == pytest.approx([0.5 * 0.75 / 2] * 2)
    assert weights[2:8] == pytest.approx([0.5 * 0.25 / 6] * 6)
    assert weights[8:] == pytest.approx([0.5 / 4] * 4)
    assert weights.sum() == pytest.approx(1)


def test_sizes_can_be_counted_to_a_power() -> None:
    # reals: a (1) and b (9); by the square root of their size they are drawn 1 to 3
    weights = sample_weights(
        samples(("a", 0, 1), ("b", 0, 9), ("a", 1, 2)), {}, pseudo_share=0, size_power=0.5
    )
    assert weights[0] == pytest.approx(0.5 * 1 / 4)
    assert weights[1:10] == pytest.approx([0.5 * 3 / 4 / 9] * 9)
    assert weights.sum() == pytest.approx(1)


def test_pseudo_fakes_take_their_share_and_the_data_sets_of_the_reals() -> None:
    found = with_pseudo_fakes(samples(("a", 0, 2), ("b", 0, 6), ("a", 1, 4)))
    weights = sample_weights(found, {"a": 3, "b": 1}, pseudo_share=0.4)
    assert weights[8:12] == pytest.approx([0.5 * 0.6 / 4] * 4)
    assert weights[12:14] == pytest.approx([0.5 * 0.4 * 0.75 / 2] * 2)  # twins of a
    assert weights[14:] == pytest.approx([0.5 * 0.4 * 0.25 / 6] * 6)
    assert weights.sum() == pytest.approx(1)


def test_draws_follow_the_weights_and_repeat() -> None:
    weights = np.array([0.5, 0.25, 0.125, 0.125])
    draws = Draws(weights, seed=3)
    drawn = [draws[number] for number in range(800)]
    counts = Counter(drawn)
    assert [counts[i] for i in range(4)] == pytest.approx([400, 200, 100, 100], abs=20)
    again = Draws(weights, seed=3)
    assert [again[number] for number in reversed(range(800))] == drawn[
        ::-1
    ]  # whoever asks, in whatever order
    assert [Draws(weights, seed=4)[number] for number in range(100)] != drawn[:100]


def test_equal_weights_show_every_sample_once_a_round() -> None:
    draws = Draws(np.full(50, 0.02), seed=0)
    assert sorted(draws[number] for number in range(50)) == list(range(50))
    assert sorted(draws[number] for number in range(50, 100)) == list(range(50))
    assert [draws[number] for number in range(50)] != [draws[number] for number in range(50, 100)]


def batches(**changes: int) -> list[list[list[tuple[int, int]]]]:
    """Of two epochs."""
    made = Batches(Draws(np.full(20, 0.05), seed=1), 8, 3, **changes)
    return [list(made.at(epoch)) for epoch in range(2)]


def test_all_processes_together_see_what_one_sees() -> None:
    whole, first, second = batches(), batches(rank=0, world=2), batches(rank=1, world=2)
    for epoch in range(2):
        for batch, a, b in zip(whole[epoch], first[epoch], second[epoch], strict=True):
            assert len(a) == len(b) == 4
            assert sorted(a + b) == sorted(batch)
    assert [number for epoch in whole for batch in epoch for _, number in batch] == list(range(48))


def test_accumulation_only_cuts_batches_up() -> None:
    parts = batches(accumulate=2)
    assert len(parts[0]) == 6
    for batch, a, b in zip(batches()[0], parts[0][::2], parts[0][1::2], strict=True):
        assert sorted(a + b) == sorted(batch)
    with pytest.raises(ValueError, match="batch of 8"):
        batches(accumulate=3)


def test_crops_come_from_the_pack_as_from_memory(toy_set: Path, tmp_path: Path) -> None:
    found = find_samples(read_manifest(toy_set)[:8], jobs=1).samples
    crops = Crops(
        found, CropSpec(48, 1.0, 0.6), tmp_path / "x.pack", Augment(smallest_px=24), seed=5
    )
    assert (tmp_path / "x.pack").stat().st_size == sum(
        len(sample.item.data or b"") for sample in found
    )
    there = [crops[(index, 100 + index)] for index in range(8)]
    copy = pickle.loads(pickle.dumps(crops))  # as a loading process gets it
    for index, (face, label, mask) in enumerate(there):
        assert face.shape == (3, 48, 48)
        assert float(label) == found[index].item.label
        assert float(mask.abs().max()) == 0  # where nothing is known to be forged
        assert torch.equal(copy[(index, 100 + index)][0], face)
    assert not torch.equal(crops[(0, 1)][0], crops[(0, 2)][0])  # another draw, another view
    # handed to a process it takes a few hundred bytes a sample, not the pictures
    assert len(pickle.dumps(crops)) < sum(len(sample.item.data or b"") for sample in found) / 4


def test_pictures_in_files_are_read_from_there(toy_set: Path, tmp_path: Path) -> None:
    items = read_manifest(toy_set)[:2]
    (tmp_path / "a.jpg").write_bytes(items[0].data or b"")
    mixed = [replace(items[0], data=None, path=tmp_path / "a.jpg"), items[1]]
    spec = CropSpec(48, 1.0, 0.6)
    a, b = (
        Crops(find_samples(i, jobs=1).samples, spec, tmp_path / f"{n}.pack")
        for n, i in enumerate((items, mixed))
    )
    for index in range(2):
        assert torch.equal(a[index][0], b[index][0])
