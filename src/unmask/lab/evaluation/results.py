"""Figures → files: metrics.json and .csv, scores.parquet, plots, Markdown, one HTML page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unmask._internal.atomic import output_errors
from unmask.lab.data.manifest import Item
from unmask.lab.evaluation.html import write_page
from unmask.lab.evaluation.metrics import Array
from unmask.lab.evaluation.plots import (
    Curves,
    Figure,
    Thresholds,
    data_uri,
    plot_det,
    plot_precision_recall,
    plot_reliability,
    plot_risk_coverage,
    plot_roc,
    plot_scores,
    png,
)
from unmask.lab.evaluation.tables import (
    column_table,
    methods_table,
    sources_table,
    verdict_table,
)
from unmask.lab.evaluation.worst import worst_errors
from unmask.report.phrases import number

PLOTS = {
    "scores": (
        "How the scores are spread",
        "The less the two classes overlap, the better. Between the dashed lines the card's"
        " thresholds leave a face undecided.",
    ),
    "roc": (
        "Fakes found, and at what price",
        "Each point is a threshold. The ring is the card's own; the nearer to the upper left, the"
        " better.",
    ),
    "precision_recall": (
        "How far 'fake' can be believed",
        "Precision holds for this mixture of real and fake only: where fakes are rarer, it is"
        " lower.",
    ),
    "det": (
        "The same, with the small rates large",
        "Both axes are stretched so that rates of a per cent can be read; lower left is better.",
    ),
    "reliability": (
        "Are probabilities what they say?",
        "On the dotted line, of faces at 70 % seven in ten are fake. Bars: how many faces lie"
        " there.",
    ),
    "risk_coverage": (
        "What deciding less would win",
        "From the surest face on: how many of the decided are wrong, when so many are decided.",
    ),
}
"""Titles of the plots, and how they are read."""

LEVELS = {"": "rows", "by_video": "videos", "by_face": "faces"}
CELLS = {
    "tp": "fakes found",
    "fn": "fakes missed",
    "fp": "real called fake",
    "tn": "real left alone",
}
FIGURES = {
    "n": "n",
    "n_real": "real",
    "n_fake": "fake",
    "coverage": "coverage",
    "auc": "AUC",
    "auc_ci95": "95 % interval",
    "ap": "AP",
    "eer": "EER",
    "accuracy": "accuracy",
    "accuracy_ci95": "95 % interval",
    "majority_baseline": "majority-class baseline",
    "balanced_accuracy": "balanced accuracy",
    "tpr_at_fpr01": "fakes found at 1 % false alarms",
    "fpr_at_threshold": "real called fake at the card's threshold",
    "decided": "decided at the card's thresholds, classes weighing the same",
    "wrong_if_decided": "errors among the decided",
    "aurc": "area under the risk–coverage curve",
    "log_loss": "log loss",
    "brier": "Brier",
    "ece": "ECE",
}
"""The figures of a table, one a line, and how they are called there."""

MEANINGS = {
    "coverage": "the share of rows that could be judged",
    "AUC": "how often a fake scores higher than a real face drawn beside it; 0.5 is guessing",
    "AP": "average precision: the area under the precision–recall curve",
    "EER": "the rate at which false alarms and misses are equal",
    "majority-class baseline": "the accuracy of always giving the more frequent answer",
    "balanced accuracy": "the mean of the shares of real and of fake faces that are right",
    "fakes found at 1 % false alarms": "the threshold is set on these very rows",
    "real called fake at the card's threshold": "the threshold that a scan uses",
    "errors among the decided": "of faces beyond one of the card's thresholds",
    "area under the risk–coverage curve": "errors, averaged over all shares decided; low is good",
    "log loss": "punishes being sure and wrong; 0.693 is guessing",
    "Brier": "the mean squared distance of probability and truth; 0.25 is guessing",
    "ECE": "how far probabilities are from the shares of fakes that they promise; low is good",
}
"""What the figures mean, for those whose names do not say it."""


def write_evaluation(
    out: Path,
    metrics: Mapping[str, Any],
    items: Sequence[Item],
    scores: Array,
    faults: Sequence[str],
) -> None:
    """Everything about one model on these items.

    Raises OutputError.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "name": [item.name for item in items],
            "dataset": [item.dataset for item in items],
            "split": [item.split for item in items],
            "group": [item.group for item in items],
            "method": [item.method for item in items],
            "label": ["fake" if item.label else "real" for item in items],
            "probability_fake": pa.array(scores, from_pandas=True),
            "fault": list(faults),
        }
    )
    thresholds = (metrics["real_threshold"], metrics["fake_threshold"])
    figures = _plots(set_curves(items, scores), thresholds)
    judged = ~np.isnan(scores)
    labels = np.array([item.label for item in items])[judged]
    figures = {"scores": plot_scores(labels, scores[judged], thresholds), **figures}
    plots = {name: png(figure) for name, figure in figures.items()}
    tables = [_table(title, rows) for title, rows in _levels(metrics)]
    if "sources" in metrics:
        tables.append(sources_table(metrics["sources"]))
    if "methods" in metrics:
        tables.append(methods_table(metrics["methods"]))
    for column, rows in metrics.get("by_column", {}).items():
        tables.append(column_table(column, rows))
    if "verdicts" in metrics:
        tables.insert(0, verdict_table(metrics["verdicts"]))
    model = f"{metrics['model']['name']} {metrics['model']['version']}"
    with output_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, out / "scores.parquet")
        (out / "metrics.json").write_text(json.dumps(metrics, indent=2, allow_nan=False))
        (out / "metrics.csv").write_text(_csv(metrics))
        for name, content in plots.items():
            (out / f"{name}.png").write_bytes(content)
        (out / "report.md").write_text(_markdown(f"Evaluation of {model}", tables))
        write_page(
            out / "report.html",
            "evaluation.html",
            title=f"Evaluation of {model}",
            tables=tables,
            metrics=metrics,
            confusions=list(_confusions(metrics)),
            plots=_shown(plots),
            pairs=[],
            meanings=MEANINGS,
            errors=worst_errors(items, scores),
        )


def write_comparison(
    out: Path,
    found: Mapping[str, Mapping[str, Any]],
    pairs: Sequence[Mapping[str, Any]],
    items: Sequence[Item],
    scores: Mapping[str, Array],
) -> None:
    """Several models side by side, over all rows and set by set, with DeLong's test of each pair.

    Raises OutputError.
    """
    labels = np.array([item.label for item in items])
    curves = {}
    for name, probabilities in scores.items():
        judged = ~np.isnan(probabilities)
        if len(set(labels[judged].tolist())) == 2:
            curves[name] = (labels[judged], probabilities[judged])
    plots = {name: png(figure) for name, figure in _plots(curves).items()}
    sets = list(next(iter(found.values()))["datasets"])
    sets = ["overall", *sets] if len(sets) > 1 else sets
    tables = [
        _table(
            of,
            {
                name: m["overall"] if of == "overall" else m["datasets"][of]
                for name, m in found.items()
            },
        )
        for of in sets
    ]
    tests = [pair_words(pair) for pair in pairs]
    with output_errors(out):
        (out / "comparison.json").write_text(
            json.dumps(
                {"schema": "unmask.comparison/1", "models": found, "delong": list(pairs)}, indent=2
            )
        )
        for name, content in plots.items():
            (out / f"{name}.png").write_bytes(content)
        text = (
            _markdown("Models side by side", tables)
            + "\n"
            + "\n".join(f"- {test}" for test in tests)
            + "\n"
        )
        (out / "comparison.md").write_text(text)
        write_page(
            out / "comparison.html",
            "evaluation.html",
            title="Models side by side",
            tables=tables,
            metrics=None,
            confusions=[],
            plots=_shown(plots),
            pairs=tests,
            meanings=MEANINGS,
            errors=[],
        )


def set_curves(items: Sequence[Item], scores: Array) -> Curves:
    """Labels and probabilities of each data set with both classes, judged rows only.

    All together, where no data set has both.
    """
    sets = np.array([item.dataset for item in items])
    labels = np.array([item.label for item in items], int)
    judged = ~np.isnan(scores)
    rows = {name: np.flatnonzero((sets == name) & judged) for name in sorted(set(sets))}
    curves = {
        name: (labels[r], scores[r])
        for name, r in rows.items()
        if len(set(labels[r].tolist())) == 2
    }
    if not curves and len(set(labels[judged].tolist())) == 2:
        return {"all together": (labels[judged], scores[judged])}
    return curves


def _plots(curves: Curves, thresholds: Thresholds | None = None) -> dict[str, Figure]:
    return {
        "roc": plot_roc(curves, thresholds),
        "precision_recall": plot_precision_recall(curves, thresholds),
        "det": plot_det(curves, thresholds),
        "reliability": plot_reliability(curves),
        "risk_coverage": plot_risk_coverage(curves),
    }


def _shown(plots: Mapping[str, bytes]) -> list[tuple[str, str, str]]:
    """Title, how it is read, and picture of each plot, for a page."""
    return [(*PLOTS[name], data_uri(content)) for name, content in plots.items()]


def _levels(metrics: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Mapping[str, Any]]]]:
    """By row, by video, by face, as far as they differ: title, and figures by data set."""
    for level, word in LEVELS.items():
        part = metrics if not level else metrics.get(level)
        if part:
            rows = dict(part["datasets"])
            yield (
                f"By {word.removesuffix('s')}",
                rows if len(rows) == 1 else {"overall": part["overall"], **rows},
            )


def _table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "title": title,
        "head": ["", *rows],
        "rows": [
            [word, *(_cell(key, row.get(key)) for row in rows.values())]
            for key, word in FIGURES.items()
        ],
    }


def _cell(key: str, value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return "–".join(number(end) for end in value)
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:.1%}"
        if key in ("coverage", "decided", "fpr_at_threshold", "wrong_if_decided")
        else number(value)
    )


def _confusions(metrics: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, row in metrics["datasets"].items():
        classes = [{"class": word, **figures} for word, figures in row["per_class"].items()]
        yield {
            "name": name,
            "cells": {CELLS[cell]: count for cell, count in row["confusion"].items()},
            "classes": classes,
        }


def pair_words(pair: Mapping[str, Any]) -> str:
    """DeLong's test of two models, in words."""
    what = f"{pair['first']} against {pair['second']} on {pair['n']:,} rows"
    if "p" not in pair:
        return f"{what}: only one class, no test"
    p = "p < 0.0001" if pair["p"] < 1e-4 else f"p = {pair['p']:.4f}"
    aucs = (
        f"AUC {pair['auc']:.3f} and {pair['other_auc']:.3f}, difference {pair['difference']:+.3f}"
    )
    return f"{what}: {aucs} (DeLong: z = {pair['z']:.2f}, {p})"


def _markdown(title: str, tables: Sequence[Mapping[str, Any]]) -> str:
    parts = [f"# {title}"]
    for table in tables:
        lines = ["| " + " | ".join(table["head"]) + " |", "|---" * len(table["head"]) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in table["rows"]]
        parts += [f"## {table['title']}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _csv(metrics: Mapping[str, Any]) -> str:
    """One line for each level and data set; intervals in two columns."""
    rows = []
    for level, word in LEVELS.items():
        part = metrics if not level else metrics.get(level)
        if not part:
            continue
        for name, figures in {**part["datasets"], "overall": part["overall"]}.items():
            rows.append({"level": word, "data": name, **_flat(figures)})
    columns = list(dict.fromkeys(key for row in rows for key in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, columns)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _flat(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures without anything nested: `confusion_tp`, `auc_ci95_low`, …"""
    flat: dict[str, Any] = {}
    for key, value in figures.items():
        if isinstance(value, dict):
            for inner, figure in value.items():
                if not isinstance(figure, dict):
                    flat[f"{key}_{inner}"] = figure
        elif key.endswith("_ci95"):
            low, high = value or (None, None)
            flat[f"{key}_low"] = low
            flat[f"{key}_high"] = high
        else:
            flat[key] = value
    return flat
