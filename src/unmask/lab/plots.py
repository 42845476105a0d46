"""Plots of an evaluation, as PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
from sklearn import metrics as sk

from unmask.lab.metrics import Array


def plot_roc(curves: Mapping[str, tuple[Array, Array]], path: Path) -> None:
    """ROC of each set: name → (labels, probabilities), both classes present."""
    figure, axes = _figure("False alarms: share of real faces called fake", "Fakes found")
    for name, (labels, probabilities) in curves.items():
        fpr, tpr, _ = sk.roc_curve(labels, probabilities)
        axes.plot(fpr, tpr, label=f"{name}, AUC {sk.auc(fpr, tpr):.3f}")
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="guessing")
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=120)


def plot_reliability(curves: Mapping[str, tuple[Array, Array]], path: Path, bins: int = 10) -> None:
    """Share of fakes over probability of fake, real and fake weighing the same."""
    figure, axes = _figure("Probability of fake", "Share of fakes (both classes weighing the same)")
    for name, (labels, probabilities) in curves.items():
        weights = 1 / np.bincount(labels, minlength=2)[labels]
        place = np.minimum((probabilities * bins).astype(int), bins - 1)
        mass = np.bincount(place, weights, bins)
        kept = mass > 0
        shares = np.bincount(place, weights * labels, bins)[kept] / mass[kept]
        means = np.bincount(place, weights * probabilities, bins)[kept] / mass[kept]
        axes.plot(means, shares, marker="o", label=name)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="perfect")
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(path, dpi=120)


def _figure(x: str, y: str) -> tuple[Any, Any]:
    figure = matplotlib.figure.Figure(figsize=(6, 6), layout="constrained")  # no pyplot: nothing global
    axes = figure.add_subplot(xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
