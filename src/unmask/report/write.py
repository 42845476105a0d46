"""Write the report of one file: JSON, one HTML page, PDF."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.bundle.card import Card
from unmask.errors import OutputError
from unmask.report.data import to_json
from unmask.report.page import html, pdf
from unmask.report.sign import sign
from unmask.report.view import build
from unmask.types import Report
from unmask.verdict import at_prevalence

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def prepare_folder(folder: Path) -> Path:
    """The folder, made and tried for writing before any work is done. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".unmask"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"cannot write into {folder}: {error.strerror or error}") from error
    return folder


def write_report(
    report: Report,
    card: Card,
    folder: Path,
    *,
    prevalence: float | None = None,
    key: Ed25519PrivateKey | None = None,
    made_on: datetime.date | None = None,
) -> list[Path]:
    """Write NAME-SHA8.json, .html and .pdf into the folder, each whole or not at all; a report of the same file is
    replaced. made_on: by default today, in UTC. Raises OutputError."""
    made = documents(report, card, prevalence=prevalence, key=key, made_on=made_on)
    return [write_document(folder, name, content) for name, content in made]


def documents(
    report: Report,
    card: Card,
    *,
    prevalence: float | None = None,
    key: Ed25519PrivateKey | None = None,
    made_on: datetime.date | None = None,
) -> Iterator[tuple[str, bytes]]:
    """The names and contents of what `write_report` writes, each made when it is asked for."""
    view = view_of(report, card, prevalence, made_on)
    name = f"{Path(report.media.path).name}-{report.media.sha256[:8]}"
    yield f"{name}.json", complete(to_json(report, prevalence), view, key)
    yield f"{name}.html", html(view)
    yield f"{name}.pdf", pdf(view)


def view_of(
    report: Report, card: Card, prevalence: float | None = None, made_on: datetime.date | None = None
) -> dict[str, Any]:
    """What a reader of the report is shown. made_on: by default today, in UTC."""
    day = made_on or datetime.datetime.now(datetime.UTC).date()
    return build(report, card, day, _at_prevalence(report, prevalence))


def complete(tree: Mapping[str, Any], view: Mapping[str, Any], key: Ed25519PrivateKey | None = None) -> bytes:
    """The JSON of a report as it is written: with how it was made, and signed if there is a key."""
    made = {"by": f"unmask {view['version']}", "command": view["command"], "date": view["date"]}
    whole = {**tree, "made": made}
    if key is not None:
        whole = sign(whole, key)
    return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False).encode()


def _at_prevalence(report: Report, prevalence: float | None) -> str:
    if prevalence is None or report.verdict.probability_fake is None:
        return ""
    known = at_prevalence(report.verdict.probability_fake, prevalence)
    return f"Where {prevalence:g} of all files are fake, the probability is {known:.3f}."


def write_document(folder: Path, name: str, content: bytes) -> Path:
    """Write a file, whole or not at all. Raises OutputError."""
    path = folder / name
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    return path
