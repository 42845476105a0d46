"""A bundle: an ONNX graph that carries its own card.

Open, check and run it.
"""

from __future__ import annotations

from unmask.bundle.calibration import Calibration
from unmask.bundle.card import Canaries, Card, Gates, Thresholds
from unmask.bundle.registry import shipped_bundles
from unmask.bundle.scorers import load_scorer
from unmask.bundle.seal import read_seal, seal
from unmask.bundle.session import Bundle, Scored, Scorer, TwoPartScorer, load_bundle

__all__ = [
    "Bundle",
    "Calibration",
    "Canaries",
    "Card",
    "Gates",
    "Scored",
    "Scorer",
    "Thresholds",
    "TwoPartScorer",
    "load_bundle",
    "load_scorer",
    "read_seal",
    "seal",
    "shipped_bundles",
]
