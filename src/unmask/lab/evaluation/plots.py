"""Plots as matplotlib figures (no pyplot: nothing global), and as files or parts of a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter
from scipy.stats import norm
from sklearn import metrics as sk

from unmask.lab.evaluation.metrics import Array, coverage_risk
from unmask.lab.evaluation.sources import SourceFigures

Figure = matplotlib.figure.Figure
Curves = Mapping[str, tuple[Array, Array]]
"""Name → labels (1 fake) and probabilities of fake, both classes present."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999933")
"""Told apart by the colour-blind too (Okabe & Ito, 2008); lines differ in style as well, for
greyscale."""
STYLES = ("-", "--", "-.", ":")
REAL_COLOUR, FAKE_COLOUR = COLOURS[0], COLOURS[1]


def plot_sources(figures: Sequence[SourceFigures]) -> Figure:
    """A line a source: its mean AUC against the other class (dot) and the lowest one (bar's end).

    Fakes above, real faces below, each from the worst to the best.
    """
    shown = [one for one in figures if one.auc_mean is not None]
    shown.sort(key=lambda one: (one.label, -(one.auc_mean or 0.0)))
    figure = Figure(figsize=(7, 1.2 + 0.2 * max(6, len(shown))), layout="constrained")
    axes = figure.add_subplot(xlabel="AUC against the sources of the other class")
    for place, one in enumerate(shown):
        colour = FAKE_COLOUR if one.label else REAL_COLOUR
        axes.plot([one.auc_lowest or 0.0, one.auc_mean or 0.0], [place, place], color=colour)
        axes.plot([one.auc_mean or 0.0], [place], color=colour, marker="o" if one.label else "s")
    axes.set_yticks(
        range(len(shown)),
        [f"{one.source} ({'fake' if one.label else 'real'}, {one.n})" for one in shown],
        fontsize=7,
    )
    axes.axvline(0.5, color="0.6", linestyle=":")
    axes.set_ylim(-1, len(shown))
    _plain(axes)
    return figure


Thresholds = tuple[float, float]
"""At and below the first a face is called real, at and above the second fake."""


def plot_roc(curves: Curves, thresholds: Thresholds | None = None) -> Figure:
    """ROC of each set or model; a ring marks where the threshold for fake lies on it."""
    figure, axes = _square("False alarms: share of real called fake", "Share of fakes found")
    for number, (name, (labels, probabilities)) in enumerate(curves.items()):
        fpr, tpr, _ = sk.roc_curve(labels, probabilities)
        axes.plot(fpr, tpr, label=f"{name}, AUC {sk.auc(fpr, tpr):.3f}", **_style(number))
        if thresholds is not None:
            _mark(axes, *_at_threshold(labels, probabilities, thresholds[1]), number)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="guessing")
    axes.legend(loc="lower right", frameon=False, fontsize=8)
    return figure


def plot_precision_recall(curves: Curves, thresholds: Thresholds | None = None) -> Figure:
    """Precision over recall of the fakes; a ring marks the threshold for fake."""
    figure, axes = _square(
        "Recall: share of fakes found", "Precision: share of fakes among what is called fake"
    )
    for number, (name, (labels, probabilities)) in enumerate(curves.items()):
        precision, recall, _ = sk.precision_recall_curve(labels, probabilities)
        ap = sk.average_precision_score(labels, probabilities)
        axes.plot(
            recall,
            precision,
            label=f"{name}, AP {ap:.3f} (guessing: {np.mean(labels):.3f})",
            **_style(number),
        )
        if thresholds is not None and (called := probabilities >= thresholds[1]).any():
            found = float(np.mean(called[labels == 1]))
            _mark(axes, found, float(np.mean(labels[called])), number)
    if curves:
        axes.legend(loc="lower left", frameon=False, fontsize=8)
    return figure


def plot_det(curves: Curves, thresholds: Thresholds | None = None) -> Figure:
    """Misses over false alarms, both on normal-deviate scales (Martin et al., Eurospeech 1997).

    A ring marks the threshold for fake.
    """
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot(
        xlabel="False alarms: real called fake", ylabel="Misses: fakes not found", aspect="equal"
    )
    ticks = [0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95]
    for number, (name, (labels, probabilities)) in enumerate(curves.items()):
        fpr, fnr, _ = sk.det_curve(labels, probabilities)
        axes.plot(
            *(norm.ppf(np.clip(rate, 1e-3, 1 - 1e-3)) for rate in (fpr, fnr)),
            label=name,
            **_style(number),
        )
        if thresholds is not None:
            alarms, found = _at_threshold(labels, probabilities, thresholds[1])
            place = norm.ppf(np.clip([alarms, 1 - found], 1e-3, 1 - 1e-3))
            _mark(axes, float(place[0]), float(place[1]), number)
    for axis, bound in ((axes.xaxis, axes.set_xlim), (axes.yaxis, axes.set_ylim)):
        axis.set_ticks(norm.ppf(ticks), [f"{tick:.1%}" for tick in ticks])
        bound(norm.ppf(0.0009), norm.ppf(0.96))
    _plain(axes)
    if curves:
        axes.legend(loc="upper right", frameon=False, fontsize=8)
    return figure


def plot_reliability(curves: Curves, bins: int = 10) -> Figure:
    """Share of fakes over probability of fake, real and fake weighing the same.

    The bars at the foot say how many faces each point stands for.
    """
    figure, axes = _square("Probability of fake", "Share of fakes (both classes weighing the same)")
    for number, (name, (labels, probabilities)) in enumerate(curves.items()):
        weights = 1 / np.bincount(labels, minlength=2)[labels]
        place = np.minimum((probabilities * bins).astype(int), bins - 1)
        mass = np.bincount(place, weights, bins)
        kept = mass > 0
        shares = np.bincount(place, weights * labels, bins)[kept] / mass[kept]
        means = np.bincount(place, weights * probabilities, bins)[kept] / mass[kept]
        axes.plot(means, shares, marker="o", markersize=4, label=name, **_style(number))
    counts = np.histogram(
        np.concatenate([p for _, p in curves.values()] or [np.empty(0)]), bins, (0, 1)
    )[0]
    for place, count in enumerate(counts):
        middle = (place + 0.5) / bins
        axes.bar(middle, 0.12 * count / max(1, counts.max()), 0.9 / bins, color="0.85", zorder=0)
        axes.annotate(f"{count:,}", (middle, 0.01), ha="center", fontsize=6, color="0.35")
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="perfect")
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    return figure


def plot_scores(
    labels: Array, probabilities: Array, thresholds: Thresholds | None = None
) -> Figure:
    """How the probabilities of real and of fake faces are spread, and where the thresholds lie."""
    figure = plot_by_class(probabilities, labels, "Probability of fake")
    axes = figure.axes[0]
    for threshold, word in zip(thresholds or (), ("real", "fake"), strict=False):
        axes.axvline(threshold, color="0.35", linestyle="--")
        axes.annotate(
            f" {word} {threshold:.2f}",
            (threshold, 0.97),
            xycoords=("data", "axes fraction"),
            rotation=90,
            va="top",
            ha="left" if word == "fake" else "right",
            fontsize=8,
        )
    axes.legend(frameon=False)
    return figure


def plot_risk_coverage(curves: Curves) -> Figure:
    """Errors among the decided over the share that is decided, the surest faces first."""
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.add_subplot(
        xlabel="Share decided (both classes weighing the same)",
        ylabel="Errors among the decided",
        xlim=(-0.01, 1.01),
    )
    highest = 0.1
    for number, (name, (labels, probabilities)) in enumerate(curves.items()):
        shares, risks = coverage_risk(labels, probabilities)
        axes.plot(shares, risks, label=name, **_style(number))
        highest = max(highest, float(risks.max()))
    axes.set_ylim(-0.005, 1.05 * highest)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    _plain(axes)
    if curves:
        axes.legend(loc="upper left", frameon=False, fontsize=8)
    return figure


def plot_curves(history: Sequence[Mapping[str, float]]) -> Figure:
    """Accuracy and loss of training and validation, epoch by epoch, and the validation AUC."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    epochs = [row["epoch"] for row in history]
    for place, (title, lines) in enumerate(CURVES.items(), start=1):
        axes = figure.add_subplot(1, 2, place, xlabel="Epoch", title=title)
        measured = {key: label for key, label in lines.items() if key in history[0]}
        for number, (key, label) in enumerate(measured.items()):
            axes.plot(
                epochs,
                [row[key] for row in history],
                marker="o",
                markersize=3,
                label=label,
                **_style(number),
            )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _plain(axes)
        axes.legend(frameon=False)
    return figure


CURVES = {
    "Accuracy at 0.5, and AUC": {
        "train_accuracy": "training accuracy",
        "validation_accuracy": "validation accuracy",
        "validation_auc": "validation AUC",
        "left_out_auc": "mean AUC, sources left out",
    },
    "Loss": {"train_loss": "training", "validation_loss": "validation"},
}


def plot_stress(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """AUC and the share of verdicts that change, for each kind of degradation, over its strengths.

    - rows: of `lab.stress.stress`, the first for the pictures as they are
    """
    clean, names = rows[0], list(dict.fromkeys(row["stress"] for row in rows[1:]))
    figure = Figure(figsize=(2.6 * len(names), 3.4), layout="constrained")
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        of_kind = [row for row in rows if row["stress"] == name]
        places = range(len(of_kind) + 1)
        axes.plot(
            places,
            [clean["auc"], *(row["auc"] for row in of_kind)],
            marker="o",
            label="AUC",
            color=COLOURS[0],
        )
        flips = [0.0, *(row["flipped"] for row in of_kind)]
        axes.plot(
            places,
            flips,
            marker="s",
            linestyle="--",
            label="verdicts that change",
            color=COLOURS[1],
        )
        axes.axhline(clean["auc"], color="0.6", linestyle=":")
        axes.set_xticks(
            places, ["as is", *(f"{row['strength']:g}" for row in of_kind)], rotation=45
        )
        axes.set(title=name, xlabel=of_kind[0]["unit"], ylim=(-0.02, 1.02))
        _plain(axes)
    panels[0].legend(frameon=False, fontsize=8, loc="center left")
    return figure


def plot_maps(crops: Sequence[Array], masks: Array, maps: Array) -> Figure:
    """Faces with the outline of what was forged, and the heat map over each.

    - crops: (S, S, 3) uint8
    - masks: (n, S, S)
    - maps: (n, h, w)
    """
    figure = Figure(figsize=(1.7 * len(crops), 3.5), layout="constrained")
    panels = figure.subplots(2, len(crops), squeeze=False)
    for (above, below), crop, mask, heat in zip(panels.T, crops, masks, maps, strict=True):
        side = crop.shape[0]
        above.imshow(crop)
        below.imshow(crop)
        below.imshow(
            heat, extent=(0, side, side, 0), cmap="inferno", alpha=0.55, interpolation="bilinear"
        )
        for axes in (above, below):
            axes.contour(mask.astype(float), levels=[0.5], colors="#56b4e9", linewidths=1.5)
            axes.set_axis_off()
    return figure


def plot_explanations(
    crop: Array, title: str, maps: Mapping[str, Array], titles: Mapping[str, str]
) -> Figure:
    """A face, and beside it each of its heat maps over it, under their titles.

    - crop: (S, S, 3) uint8
    - maps: (h, w)
    """
    figure = Figure(figsize=(3.4 * (1 + len(maps)), 3.8), layout="constrained")
    panels = figure.subplots(1, 1 + len(maps), squeeze=False)[0]
    side = crop.shape[0]
    for axes, name in zip(panels, [None, *maps], strict=True):
        axes.imshow(crop)
        if name is not None:
            heat = maps[name]
            axes.imshow(
                heat,
                extent=(0, side, side, 0),
                cmap="inferno",
                alpha=0.55,
                interpolation="bilinear",
            )
        axes.set_title(title if name is None else titles[name].replace(": ", "\n"), fontsize=10)
        axes.set_axis_off()
    return figure


def plot_deletion(shares: Sequence[float], curves: Mapping[str, Array]) -> Figure:
    """Deletion and insertion curves: full lines for the bundle's maps, dashed for random ones."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot(
        xlabel="share of the face taken away, or left alone", ylabel="probability of fake"
    )
    for number, kind in enumerate(("deletion", "insertion")):
        colour = COLOURS[number]
        axes.plot(
            shares, curves[kind], color=colour, linewidth=2, marker="o", label=f"{kind}, by the map"
        )
        axes.plot(
            shares,
            curves[f"random_{kind}"],
            color=colour,
            linestyle="--",
            label=f"{kind}, random maps",
        )
    axes.legend(frameon=False)
    _plain(axes)
    return figure


def plot_intervals(
    rows: Mapping[str, tuple[float, float, float]], x: str, chance: float = 0.5
) -> Figure:
    """A point with its interval for each name: (value, low, high)."""
    figure = Figure(figsize=(7, 0.9 + 0.3 * len(rows)), layout="constrained")
    axes = figure.add_subplot(xlabel=x)
    for place, (value, low, high) in enumerate(reversed(list(rows.values()))):
        axes.plot([low, high], [place, place], color=COLOURS[0], linewidth=2)
        axes.plot([value], [place], marker="o", color=COLOURS[0])
    axes.axvline(chance, color="0.6", linestyle=":")
    axes.set_yticks(range(len(rows)), list(rows)[::-1])
    axes.set_xlim(min(0.4, *(low for _, low, _ in rows.values())) if rows else 0.4, 1.01)
    _plain(axes)
    return figure


def plot_by_class(values: Array, labels: Array, name: str) -> Figure:
    """How a number, or a word, is spread over real and fake."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.add_subplot(xlabel=name, ylabel="Share of the class")
    groups = [
        (values[labels == label], word, colour)
        for label, word, colour in ((0, "real", REAL_COLOUR), (1, "fake", FAKE_COLOUR))
    ]
    if values.dtype.kind in "fiu":
        known = values[~np.isnan(values.astype(float))]
        edges = np.histogram_bin_edges(known, bins=30).tolist()
        for group, word, colour in groups:
            kept = group[~np.isnan(group.astype(float))]
            axes.hist(
                kept,
                edges,
                weights=np.full(len(kept), 1 / max(len(kept), 1)),
                alpha=0.6,
                label=word,
                color=colour,
            )
    else:
        categories = sorted(set(values.tolist()))[:12]
        for shift, (group, word, colour) in zip((-0.2, 0.2), groups, strict=True):
            shares = [float(np.mean(group == w)) for w in categories]
            axes.bar(np.arange(len(categories)) + shift, shares, 0.4, label=word, color=colour)
        axes.set_xticks(
            range(len(categories)), [str(w)[:20] or "none" for w in categories], rotation=20
        )
    _plain(axes)
    axes.legend(frameon=False)
    return figure


def png(figure: Figure, dpi: int = 120) -> bytes:
    """The figure as a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()


def write_plot(figure: Figure, path: Path) -> None:
    """Write the figure as PNG. Raises OSError."""
    path.write_bytes(png(figure))


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """A picture as part of a page."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _at_threshold(labels: Array, probabilities: Array, threshold: float) -> tuple[float, float]:
    """False alarms and fakes found, as shares of their classes."""
    called = probabilities >= threshold
    return float(np.mean(called[labels == 0])), float(np.mean(called[labels == 1]))


def _mark(axes: Any, x: float, y: float, number: int) -> None:
    colour = COLOURS[number % len(COLOURS)]
    axes.plot([x], [y], "o", markersize=9, markerfacecolor="none", color=colour, zorder=5)


def _style(number: int) -> dict[str, Any]:
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": STYLES[number % len(STYLES)]}


def _square(x: str, y: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot(
        xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal"
    )
    _plain(axes)
    return figure, axes


def _plain(axes: Any) -> None:
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
