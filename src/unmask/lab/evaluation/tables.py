"""Figures by source, method, column and verdict as tables: title, head, rows of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unmask.report.phrases import number


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


def methods_table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of `by_method` as a table: title, head, rows of words."""
    return {
        "title": "By method of forgery, each against all real faces",
        "head": ["method", "faces", "AUC", "called fake", "inconclusive", "called real"],
        "rows": [
            [
                row["method"],
                f"{row['n']:,}",
                number(row["auc"]),
                *(f"{row[key]:.1%}" for key in ("found", "undecided", "missed")),
            ]
            for row in rows
        ],
    }


def column_table(column: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The rates of `by_column` as a table: title, head, rows of words."""

    def words(rate: Mapping[str, Any]) -> str:
        low, high = rate["ci95"]
        return f"{rate['wrong'] / rate['n']:.1%} ({low:.1%}–{high:.1%})"

    return {
        "title": f"By {column.replace('_', ' ')}, with exact 95 % intervals",
        "head": [column, "class", "faces", "called the opposite", "inconclusive"],
        "rows": [
            [
                row["value"],
                row["label"],
                f"{row['opposite']['n']:,}",
                words(row["opposite"]),
                words(row["undecided"]),
            ]
            for row in rows
        ],
    }


def verdict_table(verdicts: Mapping[str, Mapping[str, Mapping[str, int]]]) -> dict[str, Any]:
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
