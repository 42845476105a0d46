"""Calibration: from a logit to a probability, as a bundle's card gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from unmask.errors import BundleFormatError
from unmask.types import Floats

NUMBER = (int, float)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logit → probability, for equal numbers of real and fake.

    - method: `temperature` or `isotonic`
    - temperature, bias: sigmoid(logit / temperature + bias) (Guo et al., ICML 2017, with a shift)
    - knots: pairs of logit and probability, both rising, with straight lines between them
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


def parse_calibration(tree: Mapping[str, Any]) -> Calibration:
    """The card's part `calibration`.

    Raises BundleFormatError.
    """
    faults: list[str] = []
    calibration = read_calibration(tree, faults)
    if faults:
        raise BundleFormatError("; ".join(faults))
    return calibration


def read_calibration(tree: Mapping[str, Any], faults: list[str]) -> Calibration:
    """The same; what is wrong is added to `faults`."""
    method = tree.get("method")
    if method == "temperature":
        temperature, bias = tree.get("temperature"), tree.get("bias", 0.0)
        if not isinstance(temperature, NUMBER) or temperature <= 0 or not isinstance(bias, NUMBER):
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
