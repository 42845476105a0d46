"""Calibration, thresholds and gates of a bundle, from validation faces alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from unmask.bundle.calibration import parse_calibration
from unmask.bundle.card import Gates
from unmask.errors import LabError
from unmask.lab.evaluation.metrics import Array
from unmask.lab.evaluation.rates import exact_rate, threshold_held
from unmask.lab.recipe import GateRules, Recipe, ThresholdRules
from unmask.types import Image, Quality

SMALL_SETS = "smaller sets"
"""What the card calls all data sets together that are too small to be counted by themselves."""

MAX_BRIGHTNESS = 235.0
"""Mean luma of a crop above which hardly anything is left of a face."""


@dataclass(frozen=True, slots=True)
class Faces:
    """Validation faces, as a scan would see them.

    - crops, labels, datasets, brightness, sharpness, groups: one for each face
    """

    crops: list[Image]
    labels: Array
    datasets: Array
    brightness: Array
    sharpness: Array
    groups: Array

    def only(self, rows: Array) -> Faces:
        """Those of the faces for which `rows`, (n,) bool, is true."""
        return Faces(
            [crop for crop, kept in zip(self.crops, rows, strict=True) if kept],
            self.labels[rows],
            self.datasets[rows],
            self.brightness[rows],
            self.sharpness[rows],
            self.groups[rows],
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """How a bundle's calibration, thresholds and gates are chosen.

    - split: of the manifests, on which they are
    """

    thresholds: ThresholdRules
    gates: GateRules
    split: str = "validation"

    @classmethod
    def of(cls, recipe: Recipe) -> Rules:
        """A recipe's."""
        return cls(recipe.thresholds, recipe.gates, recipe.data.validation)


def choose(
    faces: Faces, logits: Array, rules: Rules, gates: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Calibration, thresholds and gates, from validation faces alone.

    Each data set and class weighs the same. Faces that the gates refuse choose nothing else.

    - gates: a card's, where they are not to be chosen

    Raises LabError where the gates leave no face of a class.
    """
    gates = choose_gates(faces, rules.gates) if gates is None else gates
    faces, logits = _judged(faces, logits, gates)
    # A data set of a few faces says little by itself: all such are counted as one.
    faces = replace(faces, datasets=joined_small_sets(faces, rules.thresholds.smallest_set))
    calibration = calibrate(faces, logits, rules.thresholds.calibration)
    # in double precision: a threshold just above a probability must not round to it
    probabilities = parse_calibration(calibration).probabilities(logits).astype(np.float64)
    settings = rules.thresholds
    real, fake = faces.labels == 0, faces.labels == 1
    upper = max(
        threshold_held(p, settings.fake_false_alarms)
        for p in _sources(probabilities[real], faces.datasets[real], settings.smallest_set)
    )
    lower = min(
        -threshold_held(-p, settings.real_misses)
        for p in _sources(probabilities[fake], faces.datasets[fake], settings.smallest_set)
    )
    lower = min(lower, upper)
    return {
        "calibration": calibration | {"fitted_on": "validation"},
        "thresholds": {
            "chosen_on": "validation, one face; the worst data set counts",
            "fake": {
                "probability": upper,
                "false_positive_rate": float((probabilities[real] >= upper).mean()),
                **_bounds(probabilities[real] >= upper, faces.datasets[real]),
            },
            "real": {
                "probability": lower,
                "false_negative_rate": float((probabilities[fake] <= lower).mean()),
                **_bounds(probabilities[fake] <= lower, faces.datasets[fake]),
            },
        },
        "gates": gates,
    }


def choose_gates(faces: Faces, rules: GateRules) -> dict[str, Any]:
    """The card's part `gates`: which faces a scan will judge."""
    sharpness = float(np.quantile(faces.sharpness, rules.outside))
    return {
        "min_size_px": rules.min_size_px,
        "min_inside": rules.min_inside,
        "min_brightness": round(float(np.quantile(faces.brightness, rules.outside)), 1),
        "max_brightness": MAX_BRIGHTNESS,
        "min_sharpness": round(max(sharpness, rules.min_sharpness), 1),
        **({"max_novelty": 1.0} if rules.novelty else {}),
    }


def _judged(faces: Faces, logits: Array, gates: dict[str, Any]) -> tuple[Faces, Array]:
    """The faces that are bright and sharp enough to be judged, and their logits."""
    bounds = Gates(**gates)
    judged = np.array(
        [
            bounds.refuse(Quality(size_px=inf, brightness=light, sharpness=sharpness, inside=1.0))
            is None
            for light, sharpness in zip(faces.brightness, faces.sharpness, strict=True)
        ]
    )
    if len(set(faces.labels[judged])) < 2:
        raise LabError(
            "the gates refuse every real or every fake validation face: lower gates.min_sharpness"
        )
    return faces.only(judged), logits[judged]


def calibrate(faces: Faces, logits: Array, method: str) -> dict[str, Any]:
    """Logit → probability, each class and, within it, each data set weighing the same.

    Raises LabError where the logit falls while the share of fakes rises.
    """
    weights = balanced_weights(faces.labels, faces.datasets)
    fit = LogisticRegression(C=1e6).fit(logits[:, None], faces.labels, sample_weight=weights)
    slope, bias = float(fit.coef_[0, 0]), float(fit.intercept_[0])
    if slope <= 0:
        raise LabError(
            "on the validation split the logit falls where fakes are: nothing was learnt, or"
            " labels are flipped"
        )
    if method == "temperature":
        return {"method": "temperature", "temperature": 1 / slope, "bias": bias}
    steps = IsotonicRegression(y_min=0.001, y_max=0.999).fit(
        logits, faces.labels, sample_weight=weights
    )
    x, first = np.unique(np.asarray(steps.X_thresholds_, float).round(6), return_index=True)
    return {
        "method": "isotonic",
        "knots": [[float(a), float(b)] for a, b in zip(x, steps.y_thresholds_[first], strict=True)],
    }


def _sources(probabilities: Array, datasets: Array, smallest: int) -> list[Array]:
    """Of all, and of each data set that is large enough by itself."""
    parts = [probabilities[datasets == name] for name in sorted(set(datasets))]
    return [probabilities, *(part for part in parts if len(part) >= smallest)]


def joined_small_sets(faces: Faces, smallest: int) -> Array:
    """The data set of each face, where those with fewer than `smallest` of its class are one."""
    joined = faces.datasets.astype(object)
    for label in (0, 1):
        of_class = faces.labels == label
        for name in set(faces.datasets[of_class]):
            rows = of_class & (faces.datasets == name)
            if rows.sum() < smallest:
                joined[rows] = SMALL_SETS
    return joined.astype(str)


def _bounds(wrong: Array, datasets: Array) -> dict[str, Any]:
    """The exact 95 % interval of a rate, of all faces and by data set."""
    return exact_rate(wrong) | {
        "by_data_set": {
            str(name): exact_rate(wrong[datasets == name]) for name in sorted(set(datasets))
        }
    }


def balanced_weights(labels: Array, datasets: Array) -> Array:
    """(n,) weights, mean 1: real and fake weigh the same, and so do the data sets of each class."""
    weights = np.zeros(len(labels))
    for label in (0, 1):
        names = sorted(set(datasets[labels == label]))
        for name in names:
            rows = (labels == label) & (datasets == name)
            weights[rows] = len(labels) / (2 * len(names) * rows.sum())
    return weights
