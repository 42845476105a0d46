"""An archive at a glance: one HTML page, without a picture of anybody.

Its script sorts, searches and filters what the page holds; without it, all is there.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import unmask
from unmask._internal.atomic import atomic_path
from unmask._internal.names import link_to, portable_name
from unmask._internal.units import duration_words, size_words
from unmask.archive.queries import By, Filter, groups, histogram, rows, summary
from unmask.report.palette import stylesheet
from unmask.report.phrases import EXPLANATIONS

SHOWN_ROWS, SHOWN_GROUPS, SHOWN_DAYS = 5000, 25, 60

SHOWN_COLUMNS = (
    "path",
    "folder",
    "sha256",
    "state",
    "kind",
    "duration_s",
    "label",
    "probability_fake",
    "reasons",
    "error_kind",
    "error_message",
)

LABELS = ("fake", "inconclusive", "real", "not_applicable")

WORDS = {
    "fake": "fake",
    "inconclusive": "inconclusive",
    "real": "real",
    "not_applicable": "no face",
}


LinkOf = Callable[[Mapping[str, Any]], str | None]
"""The address that a row leads to, or None."""


def write_overview(
    database: sqlite3.Connection, name: str, out: Path, chosen: Filter, reports: Path | None = None
) -> int:
    """Write the page; returns how many files it shows.

    - reports: folder where `--report` or `ledger report` writes: files whose report is there lead
      to it

    Raises LedgerError, OutputError.
    """
    text, count = overview_page(
        database,
        name,
        chosen,
        file_link=lambda row: _link(row["path"], out),
        report_link=lambda row: _report(row, reports, out),
        reports="DIR" if reports is None else str(reports),
    )
    with atomic_path(out) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    return count


def overview_page(
    database: sqlite3.Connection,
    name: str,
    chosen: Filter,
    *,
    file_link: LinkOf,
    report_link: LinkOf,
    reports: str,
) -> tuple[str, int]:
    """The page as HTML, and how many files it shows.

    - file_link, report_link: what a row's file and report lead to
    - reports: the folder of reports, as its reader would name it

    Raises LedgerError.
    """
    environment = Environment(
        loader=PackageLoader("unmask.archive", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.globals["palette"] = stylesheet()
    environment.filters["thousands"] = lambda value: f"{value:,}"
    environment.filters["size"] = size_words
    environment.filters["duration"] = duration_words
    listed = [
        {**row, "report": report_link(row), "link": file_link(row), "why": _why(row)}
        for row in rows(database, name, chosen, SHOWN_ROWS, SHOWN_COLUMNS)
    ]
    days = groups(database, name, By.DAY)[-SHOWN_DAYS:]
    text = environment.get_template("overview.html").render(
        version=unmask.__version__,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        name=Path(name).name,
        ledger=name,
        reports=reports,
        total=summary(database, name),
        labels=LABELS,
        words=WORDS,
        bars=_bars(histogram(database, name)),
        days=_stacks(days),
        folders=_stacks(groups(database, name, By.FOLDER, SHOWN_GROUPS)),
        errors=groups(database, name, By.ERROR, SHOWN_GROUPS),
        models=groups(database, name, By.MODEL, SHOWN_GROUPS),
        rows=listed,
        most=SHOWN_ROWS,
        script=_script(),
        policy=policy(),
    )
    return text, len(listed)


def policy() -> str:
    """The page's content security policy: its own script, and pictures that lie beside it."""
    digest = base64.b64encode(hashlib.sha256(_script().encode()).digest()).decode()
    beside = "'self' file:"
    return (
        "default-src 'none'; style-src 'unsafe-inline';"
        f" img-src {beside}; media-src {beside}; script-src 'sha256-{digest}'"
    )


@cache
def _script() -> str:
    return (files("unmask.archive") / "templates" / "overview.js").read_text(encoding="utf-8")


def _report(row: Mapping[str, Any], reports: Path | None, out: Path) -> str | None:
    """The link to a file's report, if it is there."""
    if reports is None or row["sha256"] is None:
        return None
    page = reports / f"{portable_name(row['path'])}-{row['sha256'][:8]}.html"
    return link_to(page, out.parent) if page.is_file() else None


def _link(path: str, out: Path) -> str | None:
    """The link to a file that lies beside the page's machine; None for what lies elsewhere."""
    if "://" in path or "::" in path or not os.path.isfile(path):
        return None
    return link_to(path, out.parent)


def _why(row: Mapping[str, Any]) -> str:
    """The reasons of a verdict, or what was wrong with the file, in words."""
    if row["error_message"]:
        return str(row["error_message"])
    words = {reason.value: explanation for reason, explanation in EXPLANATIONS.items()}
    codes = (row["reasons"] or "").split()
    return "; ".join(words.get(code, code) for code in codes)  # a newer program may know more


def _bars(counts: Sequence[int]) -> list[dict[str, Any]]:
    """Bars of a histogram over 0 to 1, heights as shares of the highest."""
    most = max(counts) or 1
    width = 1 / len(counts)
    return [
        {"low": n * width, "high": (n + 1) * width, "count": count, "height": count / most}
        for n, count in enumerate(counts)
    ]


def _stacks(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with the share of each verdict in the longest row."""
    most = max((row["files"] for row in found), default=0) or 1
    return [{**row, "shares": {label: row[label] / most for label in LABELS}} for row in found]
