"""Other people's detectors, called as they are: `--model module:function`.

They bring no measured thresholds, so a scan by one of them says how probable a fake is in its
words, and decides nothing; an evaluation measures it like any other.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unmask.bundle.card import (
    DECIDING_NOTHING,
    REFUSING_NOTHING,
    SCHEMA,
    Card,
    parse_card,
    preprocessing,
)
from unmask.bundle.session import Scored
from unmask.errors import PluginError
from unmask.faces.alignment import CropSpec
from unmask.types import Floats, Image, ModelId

CROP: dict[str, Any] = {"size": 224, "margin": 1.3, "centre_y": 0.5}
"""What a detector is given where it does not say otherwise, as `CropSpec` has them."""

MOST_PROBABLE = 1 - 1e-6
"""Probabilities are held below this, for their logits to be finite."""


class FunctionScorer:
    """A scorer whose probabilities come from a function.

    - id: the function's name, and the digest of the file that it is in
    """

    def __init__(self, name: str, detector: Any) -> None:
        """Nothing is called yet.

        - detector: a function, or an object with the method `predict`: n crops (size, size, 3)
          uint8 RGB → n probabilities of fake. Its attributes `size`, `margin` and `centre_y`, where
          it has them, say how crops are cut, `version` which one it is
        """
        self._name = name
        self._one_at_a_time = threading.Lock()  # few detectors may be called by several threads
        self._predict: Callable[[Sequence[Image]], Any] = getattr(detector, "predict", detector)
        version = str(getattr(detector, "version", "unversioned"))
        crop = CropSpec(**{key: getattr(detector, key, usual) for key, usual in CROP.items()})
        self.card: Card = parse_card(_card(name, version, crop))
        self.id = ModelId(name, version, _digest(detector))

    def score(self, crops: Sequence[Image], *, explain: bool = False) -> Scored:
        """Logits (n,); it has no heat maps.

        Raises PluginError for what is not n probabilities.
        """
        if not crops:
            return Scored(np.zeros(0, np.float32), None, None)
        try:
            with self._one_at_a_time:
                given = np.asarray(self._predict(list(crops)), np.float64)
        except Exception as error:  # code of somebody else
            raise PluginError(
                f"{self._name} fails: {type(error).__name__}: {str(error)[:200]}"
            ) from error
        if given.shape != (len(crops),):
            raise PluginError(
                f"{self._name} gives {given.shape} for {len(crops)} faces; it should give one"
                " number for each"
            )
        if not bool(((given >= 0) & (given <= 1)).all()):  # also refuses NaN
            raise PluginError(
                f"{self._name} gives {given.tolist()[:3]}, which are no probabilities"
            )
        return Scored(logits_of(given), None, None)


def logits_of(probabilities: Any) -> Floats:
    """The logits of probabilities, (n,) float32, finite also for 0 and 1."""
    p = np.clip(probabilities, 1 - MOST_PROBABLE, MOST_PROBABLE)
    return np.asarray(np.log(p) - np.log(1 - p), np.float32)


def is_function(name: str) -> bool:
    """Whether this names a function, as `package.module:function`."""
    module, colon, function = name.partition(":")
    parts = [*module.split("."), *function.split(".")]
    return bool(colon) and all(part.isidentifier() for part in parts)


def load_function(name: str) -> FunctionScorer:
    """The function of that name, found as Python finds it, and in the current folder.

    A class is called without arguments, and its `predict` taken.

    Raises PluginError.
    """
    module, _, function = name.partition(":")
    here = str(Path.cwd())
    try:
        sys.path.insert(0, here)
        found: Any = importlib.import_module(module)
        for part in function.split("."):
            found = getattr(found, part)
        if inspect.isclass(found):
            found = found()
    except Exception as error:  # code of somebody else
        raise PluginError(
            f"{name} cannot be loaded: {type(error).__name__}: {str(error)[:200]}"
        ) from error
    finally:
        sys.path.remove(here)
    if not callable(getattr(found, "predict", found)):
        raise PluginError(f"{name} is no function, and has no predict")
    try:
        return FunctionScorer(name, found)
    except ValueError as error:  # of its crops
        raise PluginError(f"{name}: {error}") from error


def _digest(detector: Any) -> str:
    """sha-256 of the file that the detector is in; of nothing where it is in none."""
    target = detector if inspect.isroutine(detector) else type(detector)
    try:
        source = Path(inspect.getfile(target)).read_bytes()
    except (OSError, TypeError):
        source = b""
    return hashlib.sha256(source).hexdigest()


def _card(name: str, version: str, crop: CropSpec) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "name": name,
        "version": version,
        "licence": "its makers'",
        "made_by": {"function": name},
        "positive_class": "fake",
        "preprocessing": preprocessing(crop),
        # as it says, neither calibrated nor decided by
        "calibration": {"method": "temperature", "temperature": 1.0, "bias": 0.0},
        "thresholds": {
            "chosen_on": "nothing: the detector brings no thresholds",
            **DECIDING_NOTHING,
        },
        "gates": REFUSING_NOTHING,
        "training_data": [],
        "metrics": {},
        "intended_use": "What its makers say.",
        "limits": [
            "A detector of somebody else, called as it is. It brings no measured thresholds, so"
            " every face stays undecided; `unmask evaluate` measures it.",
        ],
        "evaluated_on": "never",
        "canaries": {"seed": 0, "tolerance": 0.0, "logits": [0.0]},
        "graph_sha256": "",
    }
