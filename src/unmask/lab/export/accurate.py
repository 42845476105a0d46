"""The bundle `accurate`: the default's network and CLIP's image encoder in one graph.

See `unmask.lab.models.clip_encoder`.

It is too large to be handed on whole. `learn` writes what was learnt into a small file: the linear
layer, how the two are mixed, and the card. `make` joins that with the default bundle and the tower
of the installed package. No such file ships: beside the present default bundle the untuned tower
counts for next to nothing (docs/lab.md).
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from unmask._internal.atomic import write_atomically
from unmask.bundle import Bundle, read_seal, seal
from unmask.bundle.session import find_bundle
from unmask.errors import LabError
from unmask.faces.alignment import CropSpec
from unmask.lab.data.manifest import Item, read_manifests, require_both_classes, select
from unmask.lab.data.samples import Sample, find_samples
from unmask.lab.evaluation.metrics import Array
from unmask.lab.export.export import cut_faces, finish, write_bundle
from unmask.lab.export.thresholds import balanced_weights
from unmask.lab.models.clip_encoder import SIDE, Layer, assemble, features, read_tower
from unmask.lab.recipe import Augment, Recipe
from unmask.lab.training.augment import training_crop
from unmask.lab.training.train import command_line
from unmask.types import Image

SCHEMA = "unmask.accurate/1"

TOLERANCE = 0.15
"""Of the canaries: 8-bit arithmetic differs a little between processors."""

PER_SET = 1500
"""Faces of one data set and class that the layer learns from, at most: the tower takes each a tenth
of a second."""


def make(out: Path, learnt: Path, tower: bytes | None = None) -> None:
    """Write the bundle.

    - learnt: the file of `learn`
    - tower: its graph, by default that of the installed package

    Raises LabError where the parts do not belong together, BundleError where what comes out does
    not compute what its maker got, OutputError.
    """
    layer, card, wanted_base = _read(learnt)
    base = find_bundle("default")
    bundle = Bundle(base)
    if bundle.id.sha256 != wanted_base["sha256"]:
        raise LabError(
            f"{learnt} was learnt with {wanted_base['name']} {wanted_base['version']} (sha-256"
            f" {wanted_base['sha256'][:12]}…), but the default bundle is {bundle.id.name}"
            f" {bundle.id.version} (sha-256 {bundle.id.sha256[:12]}…)"
        )
    graph = assemble(base.read_bytes(), bundle.card.crop.size, tower or read_tower(), layer)
    write_bundle(seal(graph, card), out)


def _read(path: Path) -> tuple[Layer, dict[str, Any], dict[str, Any]]:
    """What `learn` wrote: the layer, the card, and which bundle it was learnt with."""
    try:
        tree = json.loads(path.read_text())
        layer = Layer(
            tuple(tree["layer"]["weights"]), tree["layer"]["bias"], tuple(tree["layer"]["mix"])
        )
        return layer, dict(tree["card"]), dict(tree["base"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(f"{path} cannot be read as what `models learn` writes: {error!r}") from error


def learn(
    recipe: Recipe,
    data: Sequence[Path],
    test: Sequence[Path],
    out: Path,
    *,
    per_set: int = PER_SET,
    keep_layer: Path | None = None,
    tower: bytes | None = None,
    jobs: int = 2,
    log: Callable[[str], None] = lambda _: None,
) -> None:
    """Train the layer, and choose mix, thresholds and gates.

    The layer is fitted on the train split, each face in one augmented view; the rest on the
    validation split; the test manifests are measured for the card.

    Writes what `make` needs to `out`.

    - recipe: that of the default bundle, whose augmentation, thresholds, gates and words are used
    - keep_layer: an earlier file, whose layer is kept: the tower has not changed, the default
      bundle has

    Raises LabError, ManifestError or OutputError.
    """
    tower, path = tower or read_tower(), find_bundle("default")
    base = Bundle(path)
    spec = replace(base.card.crop, size=SIDE)
    items = read_manifests(data)
    left_out = recipe.data.leave_out
    validation = _some(select(items, recipe.data.validation, left_out), per_set)
    require_both_classes(validation, f"split {recipe.data.validation!r}")
    if keep_layer is None:
        training = _some(select(items, recipe.data.train, left_out), per_set)
        weights, bias, counts = _train_layer(recipe, training, spec, tower, jobs, log)
    else:
        kept, card, _ = _read(keep_layer)
        weights, bias = np.array(kept.weights), kept.bias
        counts = [row for row in card["training_data"] if row["split"] == "train"]

    faces = cut_faces(validation, spec)
    log(f"{len(faces.crops)} validation faces go through the tower")
    small = replace(spec, size=base.card.crop.size)
    mix = fit_mix(
        base.score([small.fit(crop) for crop in faces.crops]).logits,
        features(tower, faces.crops) @ weights + bias,
        faces.labels,
        balanced_weights(faces.labels, faces.datasets),
    )
    log("counted: base {:.3f}, tower {:.3f}, constant {:.3f}".format(*mix))
    layer = Layer(tuple(round(float(v), 7) for v in weights), bias, mix)
    graph = assemble(path.read_bytes(), base.card.crop.size, tower, layer)
    counts += _counts("validation", faces.datasets, faces.labels)
    sealed = finish(graph, _card(recipe, base, spec, counts), faces, recipe, test, TOLERANCE)
    card = {key: value for key, value in read_seal(sealed).items() if key != "graph_sha256"}
    tree = {"schema": SCHEMA, "base": asdict(base.id), "layer": asdict(layer), "card": card}
    write_atomically(out, json.dumps(tree, ensure_ascii=False))


def _train_layer(
    recipe: Recipe,
    training: Sequence[Item],
    spec: CropSpec,
    tower: bytes,
    jobs: int,
    log: Callable[[str], None],
) -> tuple[Array, float, list[dict[str, Any]]]:
    """The layer's weights and bias, and how many faces of each data set they come from."""
    require_both_classes(training, f"split {recipe.data.train!r}")
    samples = find_samples(training, jobs=jobs).samples
    log(f"{len(samples)} training faces go through the tower")
    labels = np.array([sample.item.label for sample in samples])
    datasets = np.array([sample.item.dataset for sample in samples])
    views = list(_views(samples, spec, recipe.augment or Augment(), recipe.train.seed))
    weights, bias = fit_layer(features(tower, views), labels, balanced_weights(labels, datasets))
    return weights, bias, _counts("train", datasets, labels)


def _counts(split: str, datasets: Array, labels: Array) -> list[dict[str, Any]]:
    return [
        {
            "dataset": str(name),
            "split": split,
            "real": int(((datasets == name) & (labels == 0)).sum()),
            "fake": int(((datasets == name) & (labels == 1)).sum()),
        }
        for name in sorted(set(datasets))
    ]


def fit_layer(
    x: Array, labels: Array, weights: Array, strength: float = 1e-3
) -> tuple[Array, float]:
    """Logistic regression on features (n, 2304): weights (2304,) and bias.

    The features are standardised, and the standardisation is folded in.

    - weights: of the rows
    """
    scaler = StandardScaler().fit(x)
    fit = LogisticRegression(C=strength, max_iter=500).fit(
        scaler.transform(x), labels, sample_weight=weights * len(labels) / weights.sum()
    )
    folded = fit.coef_[0] / scaler.scale_
    return folded, float(fit.intercept_[0] - folded @ scaler.mean_)


def fit_mix(base: Array, tower: Array, labels: Array, weights: Array) -> tuple[float, float, float]:
    """How the two logits are joined, from validation faces: logistic regression on the two."""
    both = np.column_stack([base, tower])
    fit = LogisticRegression(C=1e3).fit(
        both, labels, sample_weight=weights * len(labels) / weights.sum()
    )
    return float(fit.coef_[0, 0]), float(fit.coef_[0, 1]), float(fit.intercept_[0])


def _some(items: Sequence[Item], per_set: int) -> list[Item]:
    """At most `per_set` of each data set and class, drawn by a fixed seed, in order."""
    keys = np.array([f"{item.label} {item.dataset}" for item in items])
    rng = np.random.default_rng(0)
    kept = [
        rng.permutation(np.flatnonzero(keys == key))[:per_set] for key in sorted(set(keys.tolist()))
    ]
    return [items[row] for row in sorted(np.concatenate(kept).tolist())]


def _views(
    samples: Sequence[Sample], spec: CropSpec, augment: Augment, seed: int
) -> Iterator[Image]:
    for number, sample in enumerate(samples):
        rng = np.random.default_rng([seed, number])
        yield training_crop(sample.item.decode(), sample.landmarks, spec, augment, rng)


def _card(
    recipe: Recipe, base: Bundle, spec: CropSpec, counts: list[dict[str, Any]]
) -> dict[str, Any]:
    """The beginning of the card: the base's, where it holds for both."""
    base_card = dict(base.card.text)
    return {
        **{
            key: base_card[key]
            for key in ("schema", "licence", "positive_class", "intended_use", "limits")
        },
        "name": "unmask-accurate",
        "version": base_card["version"],
        "preprocessing": {**base_card["preprocessing"], "size": spec.size},
        "made_by": {
            "command": command_line(),
            "commit": base_card["made_by"].get("commit"),
            "backbone": "the base's, and CLIP ViT-B/16 (8 bits, frozen)",
            "base": f"{base.id.name} {base.id.version}, sha-256 {base.id.sha256}",
            "leak": base_card["made_by"].get("leak"),
        },
        "training_data": counts,
        "training_data_terms": (
            f"{base_card.get('training_data_terms', '')} CLIP's weights are OpenAI's (MIT)."
        ),
        "evaluated_on": datetime.date.today().isoformat(),
    }
