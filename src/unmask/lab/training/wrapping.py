"""What of its wrapping does a set of pictures keep in the crops that a recipe trains on?

Pictures of different sources were saved in different ways. A recipe sends all of them through one
chain of cutting, resizing, noise and compression, so that a network cannot tell the class by the
way of saving. Here the chain is run, and the crops are asked what they still say.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import numpy as np

from unmask._internal import jpeg
from unmask.errors import LabError
from unmask.lab.audit.audit import Crops
from unmask.lab.audit.file_features import Facts, pixel_facts
from unmask.lab.data.manifest import Item, require_both_classes, select
from unmask.lab.data.samples import Sample, find_samples, watched, worker_pool
from unmask.lab.recipe import Recipe
from unmask.lab.training.augment import training_crop
from unmask.lab.training.loader import Draws, sample_weights

COUNT = 6_000
"""Crops that are looked at; they are drawn as the recipe draws them, so some faces come twice."""

QUALITY = 90

WRAPPING = ("sharpness", "noise", "blockiness")
"""Facts of a crop's pixels that tell how it was saved; its colours are those of the face."""


_NOWHERE = np.zeros((5, 2), np.float32)
_NO_PRINT = np.zeros(32, np.uint8)


def training_crops(
    items: Sequence[Item], recipe: Recipe, *, count: int = COUNT, jobs: int = 2
) -> Crops:
    """Crops of the training split, cut and changed as the recipe does it, with their facts.

    Pseudo-fakes are left out: they are made of the real pictures, and keep the wrapping of those.

    Raises LabError for a recipe that changes nothing,
    ManifestError where a class is missing.
    """
    if recipe.augment is None:
        raise LabError(f"recipe {recipe.name} changes no pictures: the audit of the files holds")
    chosen = select(items, recipe.data.train, recipe.data.leave_out)
    require_both_classes(chosen, f"split {recipe.data.train!r}")
    # only the faces of pictures that are drawn have to be found
    unseen = [Sample(item, _NOWHERE, _NO_PRINT) for item in chosen]
    weights = sample_weights(unseen, recipe.data.weights, size_power=recipe.data.size_power)
    draws = Draws(weights, recipe.train.seed)
    numbers = [draws[number] for number in range(count)]
    found = find_samples([chosen[number] for number in sorted(set(numbers))], jobs=jobs)
    sample_of = {id(sample.item): sample for sample in found.samples}
    drawn = [sample_of[id(chosen[n])] for n in numbers if id(chosen[n]) in sample_of]
    with worker_pool(jobs) as run:
        made = run(_crop_facts, drawn, range(len(drawn)), repeat(recipe))
        facts = list(watched(made, len(drawn), "making training crops"))
    return Crops(f"training crops of {recipe.name}", [sample.item for sample in drawn], facts)


def _crop_facts(sample: Sample, number: int, recipe: Recipe) -> Facts:
    assert recipe.augment is not None
    rng = np.random.default_rng([recipe.train.seed, number])
    image = sample.item.decode()
    crop = training_crop(image, sample.landmarks, recipe.crop.spec(), recipe.augment, rng)
    pixels = pixel_facts(crop)
    wrapping = {f"crop_{name}": pixels.pop(name) for name in WRAPPING}
    # how well it compresses, saved by the same encoder
    return pixels | wrapping | {"crop_bytes": float(len(jpeg.encode(crop, QUALITY)))}
