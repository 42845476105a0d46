"""Samples → batches: the torch data set, and which sample is drawn when."""

from __future__ import annotations

import mmap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from unmask.faces.alignment import CANONICAL, CropSpec, similarity_transform
from unmask.lab.data.manifest import Item
from unmask.lab.data.samples import Sample
from unmask.lab.recipe import Augment, PseudoFakes, Recipe
from unmask.lab.training.augment import training_crop
from unmask.lab.training.pseudo_fakes import blend, view
from unmask.types import Floats, Image

Draw = tuple[int, int]
"""A sample's number, and the number of the draw in the run."""


MASK_SIDE = 24
"""Side of the masks that go with crops."""

DONORS = 24
"""From so many other real faces the one turned most alike is taken for a blend of two."""


class Crops(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Face crops with labels and masks.

    Each item: (3, S, S) uint8, its label (1 fake), and the mask of what was forged, (24, 24)
    float32, all zeros where it is not known.

    Augmented if `augment` is given; samples that say so are made into pseudo-fakes.

    The picture of a draw depends on the seed and the draw's number alone, so a run repeats, whoever
    makes the picture. Pictures that are in memory are moved into the file `pack`, from which every
    loading process maps them: handed over one by one they would be copied into each. labels: (n,)
    float32.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        spec: CropSpec,
        pack: Path,
        augment: Augment | None = None,
        seed: int = 0,
        pseudo: PseudoFakes | None = None,
    ) -> None:
        self._spec = spec
        self._augment = augment
        self._forger = _Forger(samples, pseudo) if pseudo else None
        self._seed = seed
        self._pack = pack
        self._map: mmap.mmap | None = None
        self._landmarks = np.stack([sample.landmarks for sample in samples])
        self.labels = np.array([sample.item.label for sample in samples], np.float32)
        self._paths = [sample.item.path for sample in samples]
        # a pseudo-fake's bytes are those of the real face it is made of, and stand in the file once
        places: dict[int, tuple[int, int]] = {}
        end = 0
        with pack.open("wb") as file:
            for data in (sample.item.data or b"" for sample in samples):
                if id(data) not in places:
                    file.write(data)
                    places[id(data)] = (end, end := end + len(data))
        self._places = np.array(
            [places[id(sample.item.data or b"")] for sample in samples]
        ).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, draw: int | Draw) -> tuple[Tensor, Tensor, Tensor]:
        index, number = draw if isinstance(draw, tuple) else (draw, 0)
        image = self._item(index).decode()
        mask = np.zeros((MASK_SIDE, MASK_SIDE), np.float32)
        if self._augment is None:
            crop = self._spec.cut(
                image, similarity_transform(self._landmarks[index], self._spec.target())
            )
        else:
            rng = np.random.default_rng([self._seed, number])

            def forge(crop: Image, marks: Floats) -> Image:
                if self._forger is None:
                    return crop
                forged, forged_mask = self._forger(index, crop, marks, rng, self._donor)
                mask[:] = forged_mask
                return forged

            crop = training_crop(
                image, self._landmarks[index], self._spec, self._augment, rng, forge
            )
        pixels = torch.from_numpy(crop.transpose(2, 0, 1).copy())
        return pixels, torch.tensor(self.labels[index]), torch.from_numpy(mask)

    def _donor(self, index: int) -> tuple[Image, Floats]:
        return self._item(index).decode(), self._landmarks[index]

    def _item(self, index: int) -> Item:
        start, end = self._places[index]
        item = Item(
            f"picture {index}", int(self.labels[index]), "", "", "", path=self._paths[index]
        )
        return replace(item, data=self._mapped()[start:end]) if end > start else item

    def _mapped(self) -> mmap.mmap:
        if self._map is None:
            with self._pack.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._map

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_map": None}  # each process maps the file for itself


class _Forger:
    """Makes of a crop what its sample is to be: a pseudo-fake, or the face as it is."""

    def __init__(self, samples: Sequence[Sample], settings: PseudoFakes) -> None:
        kinds = sorted(settings.kinds)
        weights = np.array([settings.kinds[kind] for kind in kinds])
        self._kinds, self._chances, self._view = kinds, weights / weights.sum(), settings.view
        self._pseudo = np.array([sample.pseudo for sample in samples])
        self._reals = np.flatnonzero([sample.item.label == 0 for sample in samples])
        # landmarks in the canonical face: how a head is turned, whatever its size and place
        matrices = [similarity_transform(sample.landmarks, CANONICAL) for sample in samples]
        shapes = [
            m[:, :2] @ s.landmarks.T + m[:, 2:] for m, s in zip(matrices, samples, strict=True)
        ]
        self._shapes = np.stack(shapes).astype(np.float32)  # (n, 2, 5)
        self._groups = np.unique([sample.item.group for sample in samples], return_inverse=True)[1]

    def __call__(
        self,
        index: int,
        crop: Image,
        marks: Floats,
        rng: np.random.Generator,
        donor_of: Callable[[int], tuple[Image, Floats]],
    ) -> tuple[Image, Floats]:
        """The crop and its mask, (24, 24)."""
        if rng.random() < self._view:
            crop = view(crop, rng)
        if not self._pseudo[index]:
            return crop, np.zeros((MASK_SIDE, MASK_SIDE), np.float32)
        kind = self._kinds[rng.choice(len(self._kinds), p=self._chances)]
        donor = donor_of(self._alike(index, rng)) if kind == "other" else None
        fake = blend(crop, marks, kind, rng, donor)
        side = (MASK_SIDE, MASK_SIDE)
        return fake.image, np.asarray(
            cv2.resize(fake.mask, side, interpolation=cv2.INTER_AREA), np.float32
        )

    def _alike(self, index: int, rng: np.random.Generator) -> int:
        """Another real face, turned about as this one is."""
        drawn = self._reals[rng.integers(0, len(self._reals), DONORS)]
        gap = np.square(self._shapes[drawn] - self._shapes[index]).sum(axis=(1, 2))
        gap[self._groups[drawn] == self._groups[index]] = np.inf
        return int(drawn[np.argmin(gap)])


def with_pseudo_fakes(samples: Sequence[Sample]) -> list[Sample]:
    """The samples, and for each real one a fake that is to be made of it."""
    twins = [
        replace(s, pseudo=True, item=replace(s.item, label=1, method="pseudo"))
        for s in samples
        if not s.item.label
    ]
    return [*samples, *twins]


def sample_weights(
    samples: Sequence[Sample],
    dataset_weights: Mapping[str, float],
    pseudo_share: float = 0.0,
    size_power: float = 1.0,
) -> np.ndarray:
    """The chance of each sample in one draw, (n,) summing to 1: real and fake get one half each.

    - dataset_weights: of data sets within a class; those without one are drawn by their share of
      the class, sizes counted to the power `size_power`
    - pseudo_share: of the fakes; the data sets of pseudo-fakes are drawn as those of the reals
    """
    # Three pools are drawn from: reals, fakes, and pseudo-fakes; in each, data sets.
    pools = [(sample.item.label, sample.pseudo) for sample in samples]
    datasets = [sample.item.dataset for sample in samples]
    dataset_sizes = Counter(zip(pools, datasets, strict=True))

    # The chance of each pool: half for each class that there is.
    half = 1 / len({label for label, _ in pools})
    pool_chance = {
        (0, False): half,
        (1, True): half * pseudo_share,
        (1, False): half * (1 - pseudo_share),
    }

    # The chance of each data set within its pool: its weight, else its share of the pool.
    flattened: dict[tuple[int, bool], float] = defaultdict(float)
    for (pool, _), size in dataset_sizes.items():
        flattened[pool] += size**size_power
    mass: dict[tuple[tuple[int, bool], str], float] = {}
    pool_mass: dict[tuple[int, bool], float] = defaultdict(float)
    for (pool, dataset), size in dataset_sizes.items():
        mass[pool, dataset] = dataset_weights.get(dataset, size**size_power / flattened[pool])
        pool_mass[pool] += mass[pool, dataset]

    # Within a data set of a pool, all samples are drawn alike.
    weights = []
    for pool, dataset in zip(pools, datasets, strict=True):
        of_dataset = mass[pool, dataset] / pool_mass[pool]
        weights.append(of_dataset / dataset_sizes[pool, dataset] * pool_chance[pool])
    return np.asarray(weights)


def training_crops(recipe: Recipe, samples: Sequence[Sample], pack: Path) -> tuple[Crops, Draws]:
    """What a network of the recipe learns from: crops, and which of them each draw takes.

    - samples: of the training split
    - pack: the file for the pictures' bytes (`Crops`)
    """
    pseudo = recipe.pseudo_fakes
    share = pseudo.share if pseudo else 0.0
    samples = with_pseudo_fakes(samples) if share else samples
    if recipe.data.sampling == "balanced":
        weights = sample_weights(samples, recipe.data.weights, share, recipe.data.size_power)
    else:
        weights = np.full(len(samples), 1 / len(samples))
    seed = recipe.train.seed
    crops = Crops(samples, recipe.crop.spec(), pack, recipe.augment, seed, pseudo)
    return crops, Draws(weights, seed)


class Draws:
    """The endless row of draws, by `weights`, the same for a seed whoever asks.

    `draws[i]` is the sample of draw i.

    Drawn in rounds of one mean pass by systematic sampling: in each, every sample comes up as often
    as its weight says, give or take one, instead of by luck. With equal weights a round holds each
    sample once.
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
            slots = np.clip(
                np.searchsorted(self._edges, points, side="right") - 1, 0, self._size - 1
            )
            self._round = (wanted, rng.permutation(self._order[slots]))
        return int(self._round[1][place])


class Batches(torch.utils.data.Sampler[list[Draw]]):
    """The batches of one epoch for one process.

    Of each batch of the run, every `world`-th draw from the `rank`-th on, in `accumulate` parts.

    So all processes together see what one process would see.
    """

    def __init__(
        self,
        draws: Draws,
        batch: int,
        per_epoch: int,
        *,
        accumulate: int = 1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if batch % (accumulate * world):
            raise ValueError(
                f"a batch of {batch} cannot be shared by {world} processes in {accumulate} parts"
            )
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
            share = drawn[self._rank :: self._world]
            for accumulated in range(self._accumulate):
                yield share[accumulated :: self._accumulate]


def use_one_thread(_worker: int) -> None:
    """Of a loading process: OpenCV would begin a thread for every core in each of them."""
    cv2.setNumThreads(1)
