"""Entries and outcomes as rows of a ledger's tables."""

from __future__ import annotations

import datetime
from typing import Any

from unmask.archive.model import Entry, Outcome, encode_path

JUDGEMENT_COLUMNS = (
    "kind",
    "duration_s",
    "label",
    "probability_fake",
    "reasons",
    "error_kind",
    "error_message",
    "run",
    "judged_at",
    "fetch_s",
    "decode_s",
    "find_s",
    "score_s",
    "evidence_s",
    "total_s",
)


def entry_row(entry: Entry, rank: float) -> dict[str, Any]:
    path, raw = encode_path(entry.path)
    modified = entry.modified_s
    return {
        "path": path,
        "raw": raw,
        "folder": encode_path(entry.folder)[0],
        "size": entry.size,
        "modified_at": None if modified is None else _utc(modified),
        "stamp": entry.stamp,
        "rank": rank,
    }


def judgement_row(outcome: Outcome, run: int) -> dict[str, Any]:
    """The values of JUDGEMENT_COLUMNS, in its order."""
    report = outcome.report or {}
    media, verdict, timing = (report.get(key, {}) for key in ("media", "verdict", "timing_s"))
    values = {
        "kind": media.get("kind"),
        "duration_s": media.get("duration_s"),
        "label": verdict.get("label"),
        "probability_fake": verdict.get("probability_fake"),
        "reasons": " ".join(verdict["reasons"]) if verdict else None,
        "error_kind": outcome.error_kind,
        "error_message": outcome.error_message,
        "run": run,
        "judged_at": now_utc(),
        "fetch_s": round(outcome.fetch_s, 6),
        **{
            f"{stage}_s": timing.get(stage)
            for stage in ("decode", "find", "score", "evidence", "total")
        },
    }
    return {name: values[name] for name in JUDGEMENT_COLUMNS}


def _utc(seconds: float) -> str | None:
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return None  # a clock that was far off


def now_utc() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
