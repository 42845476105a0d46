"""Questions to a ledger: counts, rows, exports.

Only reads, also while a scan writes.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from unmask._internal.atomic import atomic_path
from unmask._internal.names import folder_and_prefix
from unmask.archive.database import translate_errors
from unmask.errors import LedgerError, MissingExtraError, OutputError

COLUMNS = (
    "path",
    "folder",
    "size",
    "modified_at",
    "sha256",
    "state",
    "kind",
    "duration_s",
    "label",
    "probability_fake",
    "reasons",
    "error_kind",
    "error_message",
    "judged_at",
    "total_s",
    "model_name",
    "model_version",
    "model_sha256",
    "settings",
    "run",
)
"""Of the view `results`, as they are listed and exported."""

TYPES = {
    "size": "int64",
    "duration_s": "float64",
    "probability_fake": "float64",
    "total_s": "float64",
    "run": "int64",
}
"""In Parquet; all others are text."""

TOGETHER = 10_000
"""Rows in memory at a time."""


class By(StrEnum):
    """What rows of a summary stand for.

    day: of judging; modified: the day of the file's last change.
    """

    FOLDER = "folder"
    DAY = "day"
    MODIFIED = "modified"
    ERROR = "error"
    MODEL = "model"


_GROUPS = {
    By.FOLDER: "folder",
    By.DAY: "substr(judged_at, 1, 10)",
    By.MODIFIED: "substr(modified_at, 1, 10)",
    By.ERROR: "error_kind",
    By.MODEL: (
        "model_name || ' ' || model_version || ', frames ' || json_extract(settings, '$.frames')"
    ),
}

COUNTED = {
    "files": "count(*)",
    "fake": "sum(label = 'fake')",
    "real": "sum(label = 'real')",
    "inconclusive": "sum(label = 'inconclusive')",
    "not_applicable": "sum(label = 'not_applicable')",
    "failed": "sum(state = 'failed')",
    "postponed": "sum(state = 'postponed')",
    "pending": "sum(state IN ('pending', 'under_way'))",
}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows.

    - label, state, error: exactly these
    - below: paths in this folder or archive
    - gone: also files that a later run did not find
    """

    label: str | None = None
    state: str | None = None
    error: str | None = None
    below: str | None = None
    gone: bool = False

    def sql(self) -> tuple[str, list[Any]]:
        """A condition and its values."""
        parts = ["1" if self.gone else "NOT gone"]
        values: list[Any] = []
        for column, value in (
            ("label", self.label),
            ("state", self.state),
            ("error_kind", self.error),
        ):
            if value is not None:
                parts.append(f"{column} = ?")
                values.append(value)
        if self.below is not None:
            folder, prefix = folder_and_prefix(self.below)
            parts.append("(folder = ? OR substr(folder, 1, ?) = ?)")
            values += [folder, len(prefix), prefix]
        return " AND ".join(parts), values


def summary(database: sqlite3.Connection, name: str) -> dict[str, Any]:
    """Counts over all files that are not gone, what they amount to, and the runs.

    Raises LedgerError.
    """
    with translate_errors(name):
        counts = ", ".join(f"coalesce({sql}, 0) AS {key}" for key, sql in COUNTED.items())
        total = dict(database.execute(f"SELECT {counts} FROM results WHERE NOT gone").fetchone())
        sums = dict(
            database.execute(
                "SELECT coalesce(sum(size), 0) AS bytes, coalesce(sum(duration_s), 0) AS video_s,"
                " count(DISTINCT sha256) AS contents FROM results WHERE NOT gone"
            ).fetchone()
        )
        (gone,) = database.execute("SELECT count(*) FROM files WHERE gone").fetchone()
        runs = database.execute(
            "SELECT r.*, count(j.sha256) AS judged FROM runs r LEFT JOIN judgements j ON"
            " j.run = r.id GROUP BY r.id ORDER BY r.id DESC LIMIT 10"
        ).fetchall()
    return {
        **total,
        **sums,
        "gone": gone,
        "runs": [_run(dict(run)) for run in runs],
    }


def _run(row: dict[str, Any]) -> dict[str, Any]:
    """A run as it is shown."""
    shown = {key: row[key] for key in ("id", "started_at", "ended_at", "how", "judged")}
    # a ledger of version 1 does not know what was passed over
    passed_over = json.loads(row.get("passed_over") or "{}")
    return {**shown, "roots": json.loads(row["roots"]), "passed_over": passed_over}


def groups(
    database: sqlite3.Connection, name: str, by: By, limit: int = 1000
) -> list[dict[str, Any]]:
    """Counts for each folder, day, kind of error or model; the largest first, days in their order.

    Raises LedgerError.
    """
    counts = ", ".join(f"coalesce({sql}, 0) AS {key}" for key, sql in COUNTED.items())
    order = "1" if by in (By.DAY, By.MODIFIED) else "files DESC, 1"
    with translate_errors(name):
        rows = database.execute(
            f"SELECT {_GROUPS[by]} AS name, {counts} FROM results WHERE NOT gone AND {_GROUPS[by]}"
            f" IS NOT NULL GROUP BY 1 ORDER BY {order} LIMIT ?",
            (limit,),
        ).fetchall()
    return [dict(row) for row in rows]


def rows(
    database: sqlite3.Connection,
    name: str,
    chosen: Filter,
    limit: int = -1,
    columns: Sequence[str] = COLUMNS,
) -> Iterator[dict[str, Any]]:
    """The files that are chosen, the most suspected first.

    - limit: -1 for all

    Raises LedgerError.
    """
    where, values = chosen.sql()
    with translate_errors(name):
        cursor = database.execute(
            f"SELECT {', '.join(columns)} FROM results WHERE {where} ORDER BY probability_fake"
            " DESC NULLS LAST, id LIMIT ?",
            (*values, limit),
        )
        while fetched := cursor.fetchmany(TOGETHER):
            yield from (dict(row) for row in fetched)


def histogram(database: sqlite3.Connection, name: str, bins: int = 20) -> list[int]:
    """How many files' probabilities lie in each of `bins` equal parts of 0 to 1.

    Raises LedgerError.
    """
    counts = [0] * bins
    with translate_errors(name):
        for place, count in database.execute(
            "SELECT min(cast(probability_fake * ? AS INTEGER), ?), count(*) FROM results WHERE"
            " probability_fake IS NOT NULL AND NOT gone GROUP BY 1",
            (bins, bins - 1),
        ):
            counts[place] = count
    return counts


def find(database: sqlite3.Connection, name: str, which: str) -> dict[str, Any]:
    """The one file that `which` names: its path, or the beginning of its sha-256.

    Raises LedgerError.
    """
    with translate_errors(name):
        matches = database.execute(
            "SELECT r.*, f.raw, f.stamp FROM results r JOIN files f USING (id) WHERE r.path = ? OR"
            " (length(?) >= 8 AND substr(r.sha256, 1, length(?)) = lower(?)) ORDER BY r.path = ?"
            " DESC, r.id LIMIT 1",
            (which,) * 5,
        ).fetchone()
    if matches is None:
        raise LedgerError(
            f"{name} knows no file {which!r}: give its whole path, or 8 digits of its sha-256 or"
            " more"
        )
    return dict(matches)


def report_of(
    database: sqlite3.Connection, name: str, row: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The report (unmask.report/1) of a file, under its own path, if it was judged.

    Raises LedgerError.
    """
    with translate_errors(name):
        stored = database.execute(
            "SELECT report FROM reports WHERE sha256 = ? AND setup = ?",
            (row["sha256"], row["setup"]),
        ).fetchone()
    return None if stored is None else _under(json.loads(stored["report"]), row["path"])


def export(database: sqlite3.Connection, name: str, out: Path, chosen: Filter) -> int:
    """Write the chosen files to `out`, whole or not at all.

    A row each in .csv and .parquet, their reports in .jsonl.

    Returns how many. Raises OutputError for another suffix or where it cannot be written,
    MissingExtraError, LedgerError.
    """
    writers = {".csv": _csv, ".parquet": _parquet, ".jsonl": _jsonl}
    if out.suffix not in writers:
        raise OutputError(
            f"the export is written as {', '.join(writers)} or .html, not as {out.name!r}"
        )
    with atomic_path(out) as partial:
        return writers[out.suffix](database, name, partial, chosen)


def _csv(database: sqlite3.Connection, name: str, out: Path, chosen: Filter) -> int:
    count = 0
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in rows(database, name, chosen):
            writer.writerow(row)
            count += 1
    return count


def _parquet(database: sqlite3.Connection, name: str, out: Path, chosen: Filter) -> int:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("writing Parquet", "archive") from error
    schema = pa.schema([(column, getattr(pa, TYPES.get(column, "string"))()) for column in COLUMNS])
    count = 0
    batch: list[dict[str, Any]] = []
    with closing(parquet.ParquetWriter(out, schema, compression="zstd")) as writer:
        for row in rows(database, name, chosen):
            batch.append(row)
            count += 1
            if len(batch) == TOGETHER:
                writer.write_table(pa.Table.from_pylist(batch, schema))
                batch.clear()
        writer.write_table(pa.Table.from_pylist(batch, schema))
    return count


def _jsonl(database: sqlite3.Connection, name: str, out: Path, chosen: Filter) -> int:
    """Files that are not judged are left out."""
    where, values = chosen.sql()
    count = 0
    with out.open("w", encoding="utf-8") as file, translate_errors(name):
        for path, text in database.execute(
            f"SELECT path, report FROM results JOIN reports USING (sha256, setup) WHERE {where}"
            " ORDER BY id",
            values,
        ):
            file.write(
                json.dumps(
                    _under(json.loads(text), path), ensure_ascii=False, separators=(",", ":")
                )
                + "\n"
            )
            count += 1
    return count


def _under(report: dict[str, Any], path: str) -> dict[str, Any]:
    """A report of a content, for one of the paths that have it."""
    report["media"]["path"] = path
    return report
