"""A run that tuned CLIP's tower → the learnt part of the bundle `accurate`.

The default's small network and the tower are mixed on validation faces, and the pair is calibrated
and measured as every bundle is.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unmask.lab.training.early_head import early_head_of  # first, for torchvision

# isort: split
import numpy as np
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression

from unmask._internal.onnx_runtime import open_session
from unmask.bundle import Bundle, load_bundle, read_seal
from unmask.bundle.registry import find_bundle, shipped_part
from unmask.bundle.session import MAX_BATCH, QUICK
from unmask.errors import LabError
from unmask.lab.data.manifest import read_manifests, require_both_classes, select
from unmask.lab.evaluation.metrics import Array
from unmask.lab.export.export import Anew, cut_faces, finish, made_by_run, measured_card
from unmask.lab.export.joining import read_learnt, write_learnt
from unmask.lab.export.thresholds import Rules, balanced_weights, joined_small_sets
from unmask.lab.models.clip_encoder import read_tower
from unmask.lab.models.clip_tower import tower_weights
from unmask.lab.models.pair import Mix, join
from unmask.lab.models.tuned_tower import TunedTower, tuned_from_state
from unmask.lab.models.way_back import moved_back
from unmask.lab.recipe import Recipe
from unmask.lab.training.checkpoint import load_run
from unmask.types import Image


def learn(
    run: Path,
    data: Sequence[Path],
    test: Sequence[Path],
    out: Path,
    *,
    train: Sequence[Path] = (),
    clips: Sequence[Path] = (),
    average_with: Path | None = None,
    jobs: int = 2,
    tower: bytes | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> None:
    """Choose mix, calibration, thresholds and gates, and write what `make` needs to `out`.

    - run: of a recipe that tunes CLIP's tower under a linear head
    - data: manifests whose validation split chooses, together with all rows of the data sets that
      the recipe leaves out
    - test: manifests that are measured for the card
    - train: manifests whose training split teaches the second head, where the recipe wants one; by
      default those of `data`
    - clips: manifests of videos whose validation split chooses the thresholds for clips
    - average_with: the run that this one went on from; the mean of both is taken, which keeps more
      of what it knew of other sources (Wortsman et al., "Robust fine-tuning", CVPR 2022)

    Raises LabError, ManifestError or OutputError.
    """
    recipe, network, facts = load_run(run)
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    if average_with is not None:
        _, before, facts_before = load_run(average_with)
        for name, value in before.state_dict().items():
            state[name] = (state[name] + value.numpy()) / 2
        facts = {**facts, "averaged_with": facts_before["command"]}
    tower = read_tower() if tower is None else tower
    early = None
    if recipe.early_head is not None:
        network.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
        early = early_head_of(
            run, recipe, network, read_manifests(train or data), jobs=jobs, log=log
        )
    if recipe.way_back is not None:
        # afterwards: the second head is no better when it is learnt from the moved blocks
        untuned = {name: value.numpy() for name, value in tower_weights(tower).items()}
        state = moved_back(state, untuned, recipe.way_back)
    tuned = tuned_from_state(state, recipe.model.input_size or recipe.crop.size)
    tuned = replace(tuned, early=early)
    path = find_bundle("default")
    base = Bundle(path)

    # 1. What each of the two says of the validation faces.
    items = read_manifests(data)
    left_out = set(recipe.data.leave_out)
    validation = select(items, recipe.data.validation, left_out)
    validation += [item for item in items if item.dataset in left_out]
    require_both_classes(validation, f"split {recipe.data.validation!r}")
    faces = cut_faces(validation, base.card.crop)
    log(f"{len(faces.crops)} validation faces go through the tower")
    apart = Mix(small=0, tower=1, constant=0, quick_slope=1, quick_constant=0)
    graph = join(path.read_bytes(), base.card.crop.size, tower, tuned, apart)
    by_tower, by_small = _logits_apart(graph, faces.crops)

    # 2. How they are mixed.
    datasets = joined_small_sets(faces, recipe.thresholds.smallest_set)
    weights = balanced_weights(faces.labels, datasets)
    mix = fit_mix(by_small, by_tower, faces.labels, weights)
    log(f"the joint logit: {mix}")

    # 3. The pair as a bundle like any other.
    graph = join(path.read_bytes(), base.card.crop.size, tower, tuned, mix)
    beginning = _card(recipe, facts, base, tuned, mix)
    # which faces can be judged does not change: the base's gates were drawn on more faces
    beginning["gates"] = base.card.text["gates"]
    tolerance = base.card.canaries.tolerance
    joint = mix.small * by_small + mix.tower * by_tower + mix.constant
    sealed = finish(graph, beginning, faces, Rules.of(recipe), test, tolerance, clips, joint)
    card = {key: value for key, value in read_seal(sealed).items() if key != "graph_sha256"}
    write_learnt(out, tuned, mix, card, base)


def measure_learnt(model: str, anew: Anew, out: Path) -> None:
    """What `learn` wrote and ships, with a card that is measured now.

    - model: the bundle that was made of it
    - out: the file to write (.safetensors)

    Raises LabError where the bundle was made of another learnt part, BundleError, ManifestError or
    OutputError.
    """
    tuned, mix, before, _ = read_learnt(shipped_part())
    bundle = load_bundle(model)
    made_of = {key: value for key, value in bundle.card.text.items() if key != "graph_sha256"}
    if made_of != before:
        raise LabError(f"{model} was not made of the learnt part that comes with unmask")
    card = measured_card(bundle, anew)
    del card["graph_sha256"]  # another one on another machine
    write_learnt(out, tuned, mix, card, Bundle(find_bundle("default")))


def fit_mix(small: Array, tower: Array, labels: Array, weights: Array) -> Mix:
    """How the two logits are joined, from validation faces: logistic regression on the two.

    A small network that would count against fakes counts nothing. What it says alone of the joint
    logit is found by linear regression.

    - weights: of the faces

    Raises LabError where the tower does not help.
    """
    both = np.column_stack([small, tower]).astype(np.float64)
    weights = weights * len(labels) / weights.sum()
    counts, constant = _logistic(both, labels, weights)
    if counts[0] < 0:
        (alone,), constant = _logistic(both[:, 1:], labels, weights)
        counts = np.array([0.0, alone])
    if counts[1] <= 0:
        raise LabError(f"the tower does not help the small network: it would count {counts[1]:.3f}")
    expected = LinearRegression().fit(both[:, :1], both @ counts + constant, sample_weight=weights)
    return Mix(
        small=float(counts[0]),
        tower=float(counts[1]),
        constant=constant,
        quick_slope=float(expected.coef_[0]),
        quick_constant=float(expected.intercept_),
    )


def _logistic(x: Array, labels: Array, weights: Array) -> tuple[Array, float]:
    """Coefficients and constant."""
    fit = LogisticRegression(C=1e3).fit(x, labels, sample_weight=weights)
    return np.asarray(fit.coef_[0]), float(fit.intercept_[0])


def _logits_apart(graph: bytes, crops: Sequence[Image]) -> tuple[Array, Array]:
    """(n,) of the tower, and (n,) of the small network, where the graph does not mix them."""
    session = open_session(graph)
    rows: list[tuple[Array, Array]] = []
    for start in range(0, len(crops), MAX_BATCH):
        batch = np.stack(crops[start : start + MAX_BATCH]).transpose(0, 3, 1, 2)
        (tower,) = session.run(["logit"], {"faces": batch})
        (small,) = session.run(["logit"], {"faces": batch, QUICK: np.array(True)})
        rows.append((tower, small))
    towers, smalls = zip(*rows, strict=True)
    return np.concatenate(towers), np.concatenate(smalls)


def _card(
    recipe: Recipe, facts: dict[str, Any], base: Bundle, tuned: TunedTower, mix: Mix
) -> dict[str, Any]:
    """The beginning of the card: the base's, where it holds for both."""
    base_card = dict(base.card.text)
    kept = ("schema", "licence", "positive_class", "intended_use", "limits", "preprocessing")
    return {
        **{key: base_card[key] for key in kept},
        "name": "unmask-accurate",
        "version": recipe.card.version,
        "made_by": {
            "recipe": recipe.name,
            "backbone": (
                f"the base's, and CLIP ViT-B/16: {tuned.depth} blocks at {tuned.side}²; norms,"
                " low-rank changes and head trained"
                + (", each block moved part of the way back" if recipe.way_back else "")
                + (f", a second head on block {tuned.early.block + 1}" if tuned.early else "")
            ),
            "base": (
                f"{base.id.name} {base.id.version}, its graph's sha-256"
                f" {base.card.text['graph_sha256']}"
            ),
            "mix": {"small": mix.small, "tower": mix.tower, "constant": mix.constant},
            **made_by_run(recipe, facts),
            **({"averaged_with": facts["averaged_with"]} if "averaged_with" in facts else {}),
        },
        "training_data": facts["counts"],
        "training_data_terms": (
            f"{recipe.card.training_data_terms} CLIP's weights are OpenAI's (MIT)."
        ),
        "evaluated_on": datetime.date.today().isoformat(),
    }
