"""The model card: what a bundle says of itself, checked field by field, all faults at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np

from unmask.errors import BundleFormatError
from unmask.faces.alignment import CropSpec
from unmask.types import Floats, Quality, Reason

SCHEMA = "unmask.card/1"

_TEXT = ("name", "version", "licence", "intended_use", "evaluated_on", "graph_sha256")
_NUMBER = (int, float)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logit → probability, for equal numbers of real and fake.

    method `temperature`: sigmoid(logit / temperature + bias) (Guo et al., ICML 2017, with a shift).
    method `isotonic`: straight lines between `knots`, pairs of logit and probability, both rising.
    """

    method: str
    temperature: float = 1.0
    bias: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    def probabilities(self, logits: Floats) -> Floats:
        """(n,) → (n,), in [0, 1]."""
        if self.method == "isotonic":
            x, y = np.array(self.knots).T
            return np.asarray(np.interp(logits, x, y), np.float32)
        scaled = np.asarray(logits, np.float64) / self.temperature + self.bias
        return np.asarray(1 / (1 + np.exp(-scaled)), np.float32)

    def probability(self, logit: float) -> float:
        """Of one logit."""
        return float(self.probabilities(np.array([logit], np.float32))[0])


@dataclass(frozen=True, slots=True)
class Thresholds:
    """`fake` at and above fake, `real` at and below real; with the rates they were chosen for on
    validation data: false_positive_rate, real faces called fake; false_negative_rate, fake faces
    called real.
    """

    fake: float
    real: float
    false_positive_rate: float
    false_negative_rate: float

    def fake_among(self, looks: float) -> float:
        """The threshold at which one of `looks` ≥ 1 chances is a false alarm no more often than a
        single one is at `fake`: its odds, times `looks`.

        Bonferroni asks for the rate of `fake` divided by `looks`. The odds of a calibrated
        probability are the ratio of the two densities, so false alarms fall at least as fast as the
        odds rise, unless the tail of fakes is heavier than 1 / odds.
        """
        if looks < 1:
            raise ValueError(f"the number of looks must be at least 1, but is {looks}")
        p = min(max(self.fake, 1e-9), 1 - 1e-9)
        odds = p / (1 - p) * looks
        return odds / (1 + odds)


@dataclass(frozen=True, slots=True)
class Gates:
    """Which faces lie within what the bundle was trained on; the units are those of
    `unmask.types.Quality`.
    """

    min_size_px: float
    min_inside: float
    min_brightness: float
    max_brightness: float
    min_sharpness: float
    max_novelty: float = inf

    def refuse(self, quality: Quality) -> Reason | None:
        """Why a face of this quality cannot be judged, or None."""
        faults = {
            Reason.FACE_TOO_SMALL: quality.size_px < self.min_size_px,
            Reason.FACE_CUT_OFF: quality.inside < self.min_inside,
            Reason.FACE_TOO_DARK: quality.brightness < self.min_brightness,
            Reason.FACE_TOO_BRIGHT: quality.brightness > self.max_brightness,
            Reason.FACE_TOO_BLURRED: quality.sharpness < self.min_sharpness,
            Reason.FACE_UNFAMILIAR: (
                quality.novelty is not None and quality.novelty > self.max_novelty
            ),
        }
        return next((reason for reason, there in faults.items() if there), None)


@dataclass(frozen=True, slots=True)
class Canaries:
    """Tiny inputs made from `seed`, and the logits they must give within `tolerance`."""

    seed: int
    tolerance: float
    logits: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """What a scan needs of the card; `text` is the whole card as JSON values."""

    name: str
    version: str
    crop: CropSpec
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    calibration: Calibration
    thresholds: Thresholds
    gates: Gates
    canaries: Canaries
    text: Mapping[str, Any]


def parse_card(tree: Mapping[str, Any]) -> Card:
    """The card of a JSON object.

    Raises BundleFormatError that lists every fault.
    """
    faults: list[str] = []

    def take(path: str, kind: Any, low: float = -inf, high: float = inf) -> Any:
        value: Any = tree
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            faults.append(f"{path} is missing")
        elif not isinstance(value, kind) or isinstance(value, bool):
            faults.append(f"{path} has the wrong type: {value!r:.60}")
        elif kind in (int, _NUMBER) and not low <= value <= high:
            faults.append(f"{path} must be {low} to {high}, but is {value}")
        else:
            return value
        return 0 if kind == _NUMBER else kind()

    def expect(path: str, wanted: str) -> None:
        if (value := take(path, str)) and value != wanted:
            faults.append(f"{path} must be {wanted!r}, but is {value!r}")

    expect("schema", SCHEMA)
    for key in _TEXT:
        take(key, str)
    for key in ("limits", "training_data"):
        take(key, list)
    for key in ("made_by", "metrics"):
        take(key, dict)
    expect("positive_class", "fake")  # one polarity: the logit rises with the probability of fake
    expect("preprocessing.colour_order", "RGB")
    expect("preprocessing.alignment", "five_points")
    mean, std = take("preprocessing.mean", list), take("preprocessing.std", list)
    for name, triple in (("mean", mean), ("std", std)):
        if (
            len(triple) != 3
            or not all(isinstance(v, _NUMBER) for v in triple)
            or (name == "std" and 0 in triple)
        ):
            faults.append(
                f"preprocessing.{name} must be three numbers (std: not 0), but is {triple}"
            )
    crop = None
    try:
        crop = CropSpec(
            take("preprocessing.size", int),
            take("preprocessing.margin", _NUMBER),
            take("preprocessing.centre_y", _NUMBER),
            take("preprocessing.interpolation", str),
            take("preprocessing.via", int) if "via" in (tree.get("preprocessing") or ()) else None,
        )
    except ValueError as error:
        faults.append(f"preprocessing: {error}")
    calibration = _calibration(take("calibration", dict), faults)
    thresholds = Thresholds(
        fake=take("thresholds.fake.probability", _NUMBER, 0, 1),
        real=take("thresholds.real.probability", _NUMBER, 0, 1),
        false_positive_rate=take("thresholds.fake.false_positive_rate", _NUMBER, 0, 1),
        false_negative_rate=take("thresholds.real.false_negative_rate", _NUMBER, 0, 1),
    )
    if thresholds.real > thresholds.fake:
        faults.append(
            f"thresholds.real ({thresholds.real}) lies above thresholds.fake ({thresholds.fake})"
        )
    gates = Gates(
        min_size_px=take("gates.min_size_px", _NUMBER),
        min_inside=take("gates.min_inside", _NUMBER),
        min_brightness=take("gates.min_brightness", _NUMBER),
        max_brightness=take("gates.max_brightness", _NUMBER),
        min_sharpness=take("gates.min_sharpness", _NUMBER),
        max_novelty=(
            take("gates.max_novelty", _NUMBER)
            if "max_novelty" in (tree.get("gates") or ())
            else inf
        ),
    )
    logits = take("canaries.logits", list)
    if not logits or not all(isinstance(v, _NUMBER) for v in logits):
        faults.append(f"canaries.logits must be a list of numbers, but is {logits!r:.60}")
    canaries = Canaries(
        take("canaries.seed", int), take("canaries.tolerance", _NUMBER, 0), tuple(logits)
    )
    if faults or crop is None:
        raise BundleFormatError(f"the card has {len(faults)} fault(s): " + "; ".join(faults))
    return Card(
        name=tree["name"],
        version=tree["version"],
        crop=crop,
        mean=tuple(mean),
        std=tuple(std),
        calibration=calibration,
        thresholds=thresholds,
        gates=gates,
        canaries=canaries,
        text=tree,
    )


def parse_calibration(tree: Mapping[str, Any]) -> Calibration:
    """The card's part `calibration`.

    Raises BundleFormatError.
    """
    faults: list[str] = []
    calibration = _calibration(tree, faults)
    if faults:
        raise BundleFormatError("; ".join(faults))
    return calibration


def _calibration(tree: Mapping[str, Any], faults: list[str]) -> Calibration:
    method = tree.get("method")
    if method == "temperature":
        temperature, bias = tree.get("temperature"), tree.get("bias", 0.0)
        if (
            not isinstance(temperature, _NUMBER)
            or temperature <= 0
            or not isinstance(bias, _NUMBER)
        ):
            faults.append(
                "calibration.temperature must be above 0 and bias a number, but are"
                f" {temperature!r}, {bias!r}"
            )
            return Calibration("temperature")
        return Calibration("temperature", float(temperature), float(bias))
    if method == "isotonic":
        knots = tree.get("knots")
        try:
            pairs = tuple((float(x), float(y)) for x, y in knots or ())
        except (TypeError, ValueError):
            pairs = ()
        rising = all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(pairs))
        if len(pairs) < 2 or not rising or any(not 0 <= y <= 1 for _, y in pairs):
            faults.append(
                "calibration.knots must be two or more pairs of logit and probability, both rising"
            )
        return Calibration("isotonic", knots=pairs)
    faults.append(f"calibration.method must be 'temperature' or 'isotonic', but is {method!r}")
    return Calibration("temperature")
