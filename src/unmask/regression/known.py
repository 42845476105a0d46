"""The set: one line of JSON for each file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from unmask._internal.atomic import output_errors
from unmask._internal.text import on_one_line
from unmask.errors import ManifestError
from unmask.types import Report

Truth = Literal["real", "fake"]

SHOWN = 5
"""Faults in an error."""


@dataclass(frozen=True, slots=True)
class Known:
    """A file whose truth is known.

    - sha256: of the file; by it the file is known, whatever it is called
    - expected: the truth
    - path: where it was, absolute or relative to the set; empty: only its content is known
    - note: why it is in the set
    - before: what a model said when it was added: `label`, `probability_fake`, and `model`, its
      sha-256
    """

    sha256: str
    expected: Truth
    path: str = ""
    note: str = ""
    before: Mapping[str, Any] | None = None


def read_known(path: Path) -> list[Known]:
    """The lines of a set; other keys are left aside.

    Raises ManifestError, which names every line that is wrong (the first few).
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"cannot read the set {path}: {error}") from error
    found: list[Known] = []
    faults: list[str] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            known = _known(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            faults.append(f"line {number}: {error}")
            continue
        if known.sha256 in seen:
            faults.append(f"line {number}: the same file as line {seen[known.sha256]}")
        seen[known.sha256] = number
        found.append(known)
    if faults:
        more = " …" if len(faults) > SHOWN else ""
        raise ManifestError(f"{path}: {'; '.join(faults[:SHOWN])}{more}")
    if not found:
        raise ManifestError(f"{path} names no file")
    return found


def add_known(path: Path, entry: Mapping[str, Any]) -> None:
    """Add a line to a set, which is made if need be.

    Raises ManifestError where the file is in it already, OutputError.
    """
    if path.exists():
        if any(known.sha256 == entry["sha256"] for known in read_known(path)):
            raise ManifestError(f"{entry['path']} is in {path} already")
        if not path.read_bytes().endswith(b"\n"):
            raise ManifestError(f"the last line of {path} is not whole")
    with output_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def entry_of(report: Report, expected: Truth, note: str = "") -> dict[str, Any]:
    """The line for a file that was just judged."""
    verdict = report.verdict
    return {
        "sha256": report.media.sha256,
        "expected": expected,
        "path": os.path.abspath(report.media.path),
        "note": note,
        "before": {
            "label": str(verdict.label),
            "probability_fake": verdict.probability_fake,
            "model": report.model.sha256,
        },
    }


def _known(tree: Any) -> Known:
    if not isinstance(tree, dict):
        raise ValueError("no JSON object")
    digest, expected = str(tree.get("sha256", "")).lower(), tree.get("expected")
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ValueError("sha256 must be 64 hexadecimal digits")
    if expected not in ("real", "fake"):
        raise ValueError(f"expected must be real or fake, but is {expected!r:.30}")
    before = tree.get("before")
    return Known(
        digest,
        expected,
        str(tree.get("path") or ""),
        on_one_line(str(tree.get("note") or "")),
        before if isinstance(before, dict) else None,
    )
