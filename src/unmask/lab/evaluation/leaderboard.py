"""A table that grows: one line for each detector, data set and level, as papers print them.

Every evaluation can add its lines to the same file. A line that is there already, of the same
detector (by its sha-256) on the same rows, is replaced.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from unmask._internal.atomic import write_atomically
from unmask.errors import ManifestError
from unmask.lab.evaluation.results import LEVELS

COLUMNS = (
    "detector",
    "version",
    "sha256",
    "data",
    "method",
    "level",
    "n_real",
    "n_fake",
    "auc",
    "auc_low",
    "auc_high",
    "ap",
    "eer",
    "accuracy",
    "coverage",
    "measured_on",
)
"""`method` is empty for a whole data set. Of a single method only counts and AUC are given."""

SAME = ("detector", "sha256", "data", "method", "level", "n_real", "n_fake")
"""Lines that agree in these say the same thing."""

Row = dict[str, str]


def leaderboard_rows(name: str, metrics: Mapping[str, Any], measured_on: date) -> list[Row]:
    """The lines of one detector.

    - name: what it is called in the evaluation
    - metrics: as in metrics.json
    """
    model = metrics["model"]
    about = {
        "detector": name,
        "version": model["version"] or "",
        "sha256": model["sha256"] or "",
        "measured_on": measured_on.isoformat(),
    }
    rows = []
    for key, level in LEVELS.items():
        part = metrics if not key else metrics.get(key)
        for data, figures in (part or {"datasets": {}})["datasets"].items():
            low, high = figures["auc_ci95"] or (None, None)
            shown = {column: figures.get(column) for column in COLUMNS if column in figures}
            shown |= {"auc_low": low, "auc_high": high}
            rows.append({**about, "data": data, "level": level} | _written(shown))
    if len(metrics["datasets"]) == 1:
        rows += _of_methods(metrics, about)
    return [{column: row.get(column, "") for column in COLUMNS} for row in rows]


def add_to_leaderboard(path: Path, rows: Sequence[Row]) -> None:
    """Add the lines to the .csv file, and write the table of AUCs beside it (.md).

    Raises ManifestError for a file that is no such table, OutputError.
    """
    known = _read(path) if path.exists() else []
    added = {tuple(row[column] for column in SAME) for row in rows}
    kept = [row for row in known if tuple(row[column] for column in SAME) not in added]
    everything = sorted([*kept, *rows], key=lambda row: tuple(row[column] for column in SAME))
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(everything)
    write_atomically(path, file.getvalue())
    write_atomically(path.with_suffix(".md"), _markdown(everything))


def _of_methods(metrics: Mapping[str, Any], about: Mapping[str, str]) -> list[Row]:
    """Of each method against the data set's real faces."""
    [(data, whole)] = metrics["datasets"].items()
    return [
        {**about, "data": data, "method": one["method"], "level": LEVELS[""]}
        | _written({"n_real": whole["n_real"], "n_fake": one["n"], "auc": one["auc"]})
        for one in metrics.get("methods", [])
    ]


def _written(figures: Mapping[str, Any]) -> Row:
    """Four digits are more than any interval bears."""
    return {
        key: "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
        for key, value in figures.items()
    }


def _read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ManifestError(
                f"{path} is no leaderboard of ours: its columns are"
                f" {', '.join(reader.fieldnames or ()) or 'missing'}"
            )
        return list(reader)


def _markdown(rows: Sequence[Row]) -> str:
    """AUCs, detectors down and data sets across; the best of a column is bold."""
    places = list(dict.fromkeys((row["data"], row["method"], row["level"]) for row in rows))
    names = list(dict.fromkeys((row["detector"], row["sha256"]) for row in rows))
    aucs = {
        ((row["detector"], row["sha256"]), (row["data"], row["method"], row["level"])): row["auc"]
        for row in rows
    }
    best = {place: max(aucs.get((name, place), "") for name in names) for place in places}
    titles = [", ".join(part for part in place if part) for place in places]
    lines = ["| AUC | " + " | ".join(titles) + " |", "|---" + "|--:" * len(titles) + "|"]
    for name in names:
        cells = []
        for place in places:
            auc = aucs.get((name, place), "")
            shown = auc[:-1] if auc else "–"
            cells.append(f"**{shown}**" if auc and auc == best[place] else shown)
        lines.append(f"| {name[0]} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
