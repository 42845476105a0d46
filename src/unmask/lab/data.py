"""Samples → batches: the torch data set, and sampling that draws both classes equally."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from unmask.crop import CropSpec, similarity, warp
from unmask.lab.augment import training_crop
from unmask.lab.prepare import Sample
from unmask.lab.recipe import Augment


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Face crops (3, S, S) uint8 with their label (1 fake), augmented if `augment` is given.

    The picture of item i in the n-th draw depends on the seed and n alone, so a run repeats.
    """

    def __init__(
        self, samples: Sequence[Sample], spec: CropSpec, augment: Augment | None = None, seed: int = 0
    ) -> None:
        self._samples = samples
        self._spec = spec
        self._augment = augment
        self._seed = seed

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, draw: int | tuple[int, int]) -> tuple[Tensor, Tensor]:
        index, number = draw if isinstance(draw, tuple) else (draw, 0)
        sample = self._samples[index]
        image = sample.item.decode()
        if self._augment is None:
            crop = warp(
                image, similarity(sample.landmarks, self._spec.target()), self._spec.size, self._spec.interpolation
            )
        else:
            rng = np.random.default_rng([self._seed, number])
            crop = training_crop(image, sample.landmarks, self._spec, self._augment, rng)
        return torch.from_numpy(crop.transpose(2, 0, 1).copy()), torch.tensor(float(sample.item.label))


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


class Draws(torch.utils.data.Sampler[tuple[int, int]]):
    """`count` draws by `weights`, each with its number. Without replacement as far as the weights allow: every sample
    comes up as often as its weight says, give or take one, instead of by luck."""

    def __init__(self, weights: np.ndarray, count: int, seed: int) -> None:
        self._weights, self._count, self._seed = weights, count, seed

    def __len__(self) -> int:
        return self._count

    def __iter__(self):  # type: ignore[no-untyped-def]
        rng = np.random.default_rng(self._seed)
        # systematic sampling, in rounds of one mean pass so that repeats of a sample are spread over the run
        done, number = 0, 0
        order = rng.permutation(len(self._weights))
        edges = np.concatenate([[0], np.cumsum(self._weights[order])]) / self._weights.sum()
        while done < self._count:
            size = min(len(self._weights), self._count - done)
            points = (np.arange(size) + rng.random(size)) / size
            indices = order[np.clip(np.searchsorted(edges, points, side="right") - 1, 0, len(order) - 1)]
            for index in rng.permutation(indices):
                yield int(index), number
                number += 1
            done += size
