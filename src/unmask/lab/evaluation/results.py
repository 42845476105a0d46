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
    data_uri,
    plot_det,
    plot_precision_recall,
    plot_reliability,
    plot_risk_coverage,
    plot_roc,
    png,
)
from unmask.report.phrases import number

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
    plots = {name: png(figure) for name, figure in _plots(set_curves(items, scores)).items()}
    tables = [_table(title, rows) for title, rows in _levels(metrics)]
    if "sources" in metrics:
        tables.insert(0, sources_table(metrics["sources"]))
    if "verdicts" in metrics:
        tables.insert(0, _verdict_table(metrics["verdicts"]))
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
            plots=_uris(plots),
            pairs=[],
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
            plots=_uris(plots),
            pairs=tests,
        )


def set_curves(items: Sequence[Item], scores: Array) -> Curves:
    """Labels and probabilities of each data set with both classes, judged rows only."""
    sets = np.array([item.dataset for item in items])
    labels = np.array([item.label for item in items], int)
    judged = ~np.isnan(scores)
    rows = {name: np.flatnonzero((sets == name) & judged) for name in sorted(set(sets))}
    return {
        name: (labels[r], scores[r])
        for name, r in rows.items()
        if len(set(labels[r].tolist())) == 2
    }


def _plots(curves: Curves) -> dict[str, Figure]:
    return {
        "roc": plot_roc(curves),
        "precision_recall": plot_precision_recall(curves),
        "det": plot_det(curves),
        "reliability": plot_reliability(curves),
        "risk_coverage": plot_risk_coverage(curves),
    }


def _uris(plots: Mapping[str, bytes]) -> dict[str, str]:
    return {name: data_uri(content) for name, content in plots.items()}


def _levels(metrics: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Mapping[str, Any]]]]:
    """By row, by video, by face, as far as they differ: title, and figures by data set."""
    for level, word in LEVELS.items():
        part = metrics if not level else metrics.get(level)
        if part:
            rows = dict(part["datasets"])
            yield (
                f"By {word.removesuffix('s')}",
                rows if len(rows) == 1 else rows | {"overall": part["overall"]},
            )


def sources_table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of `by_source` as a table: title, head, rows of words."""
    return {
        "title": "By source",
        "head": [
            "source",
            "class",
            "faces",
            "mean AUC",
            "lowest AUC",
            "against",
            "called the opposite",
            "inconclusive",
        ],
        "rows": [
            [
                row["source"],
                row["label"],
                f"{row['n']:,}",
                number(row["auc_mean"]),
                number(row["auc_lowest"]),
                row["against"] or "–",
                f"{row['wrong']:.1%}",
                f"{row['undecided']:.1%}",
            ]
            for row in rows
        ],
    }


def _verdict_table(verdicts: Mapping[str, Mapping[str, Mapping[str, int]]]) -> dict[str, Any]:
    """What real and fake files of each data set were called."""
    words = ["fake", "inconclusive", "real", "not_applicable", "failed"]
    return {
        "title": "Verdicts",
        "head": ["data", "class", *words],
        "rows": [
            [name, label, *(str(counts.get(word, 0)) for word in words)]
            for name, of_class in verdicts.items()
            for label, counts in of_class.items()
            if counts
        ],
    }


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
