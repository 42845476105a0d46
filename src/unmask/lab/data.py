"""Samples → batches: the torch data set, and which sample is drawn when."""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from unmask.crop import CropSpec, similarity
from unmask.lab.augment import training_crop
from unmask.lab.manifest import Item
from unmask.lab.recipe import Augment
from unmask.lab.samples import Sample

Draw = tuple[int, int]
"""Which sample, and the how-manyth draw of the run it is."""


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Face crops (3, S, S) uint8 with their label (1 fake), augmented if `augment` is given.

    The picture of a draw depends on the seed and the draw's number alone, so a run repeats, whoever makes the picture.
    Pictures that are in memory are moved into the file `pack`, from which every loading process maps them: handed over
    one by one they would be copied into each. labels: (n,) float32.
    """

    def __init__(
        self, samples: Sequence[Sample], spec: CropSpec, pack: Path, augment: Augment | None = None, seed: int = 0
    ) -> None:
        self._spec = spec
        self._augment = augment
        self._seed = seed
        self._pack = pack
        self._map: mmap.mmap | None = None
        self._landmarks = np.stack([sample.landmarks for sample in samples])
        self.labels = np.array([sample.item.label for sample in samples], np.float32)
        self._paths = [sample.item.path for sample in samples]
        self._ends = np.cumsum([len(sample.item.data or b"") for sample in samples])
        with pack.open("wb") as file:
            for sample in samples:
                file.write(sample.item.data or b"")

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, draw: int | Draw) -> tuple[Tensor, Tensor]:
        index, number = draw if isinstance(draw, tuple) else (draw, 0)
        image = self._item(index).decode()
        if self._augment is None:
            crop = self._spec.cut(image, similarity(self._landmarks[index], self._spec.target()))
        else:
            rng = np.random.default_rng([self._seed, number])
            crop = training_crop(image, self._landmarks[index], self._spec, self._augment, rng)
        return torch.from_numpy(crop.transpose(2, 0, 1).copy()), torch.tensor(self.labels[index])

    def _item(self, index: int) -> Item:
        start, end = (int(self._ends[index - 1]) if index else 0), int(self._ends[index])
        item = Item(f"picture {index}", int(self.labels[index]), "", "", "", path=self._paths[index])
        return replace(item, data=self._mapped()[start:end]) if end > start else item

    def _mapped(self) -> mmap.mmap:
        if self._map is None:
            with self._pack.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._map

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_map": None}  # each process maps the file for itself


def sample_weights(samples: Sequence[Sample], dataset_weights: Mapping[str, float]) -> np.ndarray:
    """The chance of each sample in one draw, (n,) summing to 1: real and fake get one half each.

    Within a class, data sets are drawn by their weights; those without one by their share of the class.
    """
    counts = Counter((s.item.label, s.item.dataset) for s in samples)
    class_sizes = Counter(s.item.label for s in samples)
    mass = {
        (label, dataset): dataset_weights.get(dataset, n / class_sizes[label]) for (label, dataset), n in counts.items()
    }
    totals = {label: sum(m for (of, _), m in mass.items() if of == label) for label in class_sizes}
    chances = [
        mass[key] / totals[key[0]] / counts[key] / len(class_sizes)
        for key in ((s.item.label, s.item.dataset) for s in samples)
    ]
    return np.asarray(chances)


class Draws:
    """The endless row of draws, by `weights`, the same for a seed whoever asks. `draws[i]` is the sample of draw i.

    Drawn in rounds of one mean pass by systematic sampling: in each, every sample comes up as often as its weight says,
    give or take one, instead of by luck. With equal weights a round holds each sample once.
    """

    def __init__(self, weights: np.ndarray, seed: int) -> None:
        self._seed, self._size = seed, len(weights)
        self._order = np.random.default_rng([seed, 0]).permutation(self._size)
        self._edges = np.concatenate([[0], np.cumsum(weights[self._order])]) / weights.sum()
        self._round: tuple[int, np.ndarray] = (-1, np.zeros(0, int))

    def __getitem__(self, number: int) -> int:
        wanted, place = divmod(number, self._size)
        if self._round[0] != wanted:
            rng = np.random.default_rng([self._seed, 1, wanted])
            points = (np.arange(self._size) + rng.random(self._size)) / self._size
            slots = np.clip(np.searchsorted(self._edges, points, side="right") - 1, 0, self._size - 1)
            self._round = (wanted, rng.permutation(self._order[slots]))
        return int(self._round[1][place])


class Batches(torch.utils.data.Sampler[list[Draw]]):
    """The batches of one epoch for one process: of each batch of the run, every `world`-th draw from the `rank`-th on,
    in `accumulate` parts. So all processes together see what one process would see."""

    def __init__(
        self, draws: Draws, batch: int, per_epoch: int, *, accumulate: int = 1, rank: int = 0, world: int = 1
    ) -> None:
        if batch % (accumulate * world):
            raise ValueError(f"a batch of {batch} cannot be shared by {world} processes in {accumulate} parts")
        self._draws, self._batch, self._per_epoch = draws, batch, per_epoch
        self._accumulate, self._rank, self._world = accumulate, rank, world
        self._epoch = 0

    def at(self, epoch: int) -> Self:
        """The same, for the epoch that comes next."""
        self._epoch = epoch
        return self

    def __len__(self) -> int:
        return self._per_epoch * self._accumulate

    def __iter__(self) -> Iterator[list[Draw]]:
        for step in range(self._epoch * self._per_epoch, (self._epoch + 1) * self._per_epoch):
            numbers = range(step * self._batch, (step + 1) * self._batch)
            drawn = [(self._draws[number], number) for number in numbers]
            mine = drawn[self._rank :: self._world]
            for part in range(self._accumulate):
                yield mine[part :: self._accumulate]
