"""One file of a ledger once more, with the evidence that a scan of many leaves out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from unmask.archive.fetch import Fetcher
from unmask.archive.model import Task, decode_path
from unmask.bundle.card import Card
from unmask.bundle.registry import identify
from unmask.detector import load_detector
from unmask.errors import ChangedFileError, LedgerError
from unmask.types import Report


def rescan(row: Mapping[str, Any], model: str) -> tuple[Report, Card]:
    """The full report of a file in a ledger, judged once more, and the card of the bundle.

    - row: as `queries.find` gives it

    Raises LedgerError where it has no verdict or another bundle gave it, ChangedFileError where it
    is another file now, and as a scan.
    """
    if row["label"] is None:
        raise LedgerError(
            f"{row['path']} has no verdict: {row['error_message'] or 'it is ' + row['state']}"
        )
    known = identify(model)
    if known.sha256 != row["model_sha256"]:
        raise LedgerError(
            f"{row['path']} was judged by {row['model_name']} {row['model_version']}"
            f" ({row['model_sha256'][:12]}…), but {model!r} is {known.name} {known.version}"
            f" ({known.sha256[:12]}…); name the other with --model FILE"
        )
    settings = json.loads(row["settings"])
    detector = load_detector(model, faces=settings["faces"], engine=settings["engine"])
    path = decode_path(row["path"], row["raw"])
    with tempfile.TemporaryDirectory(prefix="unmask-") as spool, Fetcher(Path(spool)) as fetcher:
        file = fetcher.fetch(Task(row["id"], path, row["stamp"], row["size"], "full", ""))
        if file.sha256 != row["sha256"]:
            raise ChangedFileError(
                f"{row['path']} has changed since it was judged: scan the archive again first"
            )
        frames = None if settings.get("by_length") else settings["frames"]
        report = detector.scan(
            file.path, frames=frames, explain=True, stability=settings["stability"]
        )
    return replace(report, media=replace(report.media, path=path)), detector.bundle.card
