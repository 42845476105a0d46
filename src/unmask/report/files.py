"""Write the report of one file: JSON, one HTML page, PDF."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask._internal.atomic import write_atomically
from unmask._internal.names import portable_name
from unmask.bundle.card import Card
from unmask.report.case import Case, with_case
from unmask.report.json import to_json
from unmask.report.language import ENGLISH, speaking
from unmask.report.people_view import Drawings
from unmask.report.render import html, pdf
from unmask.report.signature import add_time, sign
from unmask.report.view import build
from unmask.report.why import at_share
from unmask.types import Report

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from unmask.provenance.signing import Certificate


def write_report(
    report: Report,
    card: Card,
    folder: Path,
    *,
    prevalence: float | None = None,
    key: Ed25519PrivateKey | None = None,
    made_on: datetime.date | None = None,
    case: Case | None = None,
    language: str = ENGLISH,
    authority: str | None = None,
    certificate: Certificate | None = None,
) -> list[Path]:
    """Write NAME-SHA8.json, .html and .pdf into the folder, each whole or not at all.

    A report of the same file is replaced.

    - made_on: by default today, in UTC
    - case: words of the report's maker
    - language: of page and PDF, one of `unmask.report.language.LANGUAGES`; JSON stays English
    - authority: of time (RFC 3161), asked for each signed report
    - certificate: by which the PDF gets Content Credentials

    Raises OutputError, and SignatureError where the authority gives no time or the certificate does
    not do.
    """
    made = documents(
        report,
        card,
        prevalence=prevalence,
        key=key,
        made_on=made_on,
        case=case,
        language=language,
        authority=authority,
        certificate=certificate,
    )
    return [write_atomically(folder / name, content, make_folder=True) for name, content in made]


def documents(
    report: Report,
    card: Card,
    *,
    prevalence: float | None = None,
    key: Ed25519PrivateKey | None = None,
    made_on: datetime.date | None = None,
    case: Case | None = None,
    language: str = ENGLISH,
    authority: str | None = None,
    certificate: Certificate | None = None,
) -> Iterator[tuple[str, bytes]]:
    """The names and contents of what `write_report` writes.

    A signed JSON names page and PDF by their sha-256, so that they are signed with it.
    """
    view = with_case(view_of(report, card, prevalence, made_on, language), case)
    name = f"{portable_name(report.media.path)}-{report.media.sha256[:8]}"
    tree = to_json(report, prevalence)
    printed = pdf(view)
    if certificate is not None:
        from unmask.provenance.signing import with_credentials

        printed = with_credentials(printed, tree, certificate, authority)
    shown = {f"{name}.html": html(view), f"{name}.pdf": printed}
    yield f"{name}.json", complete(tree, view, key, shown, authority)
    yield from shown.items()


def view_of(
    report: Report,
    card: Card,
    prevalence: float | None = None,
    made_on: datetime.date | None = None,
    language: str = ENGLISH,
    drawings: Drawings | None = None,
) -> dict[str, Any]:
    """What a reader of the report is shown.

    - made_on: by default today, in UTC
    - language: one of `unmask.report.language.LANGUAGES`
    - drawings: pictures of this report that are drawn already; new ones are added
    """
    day = made_on or datetime.datetime.now(datetime.UTC).date()
    with speaking(language):
        return build(
            report, card, day, at_share(report.verdict.probability_fake, prevalence), drawings
        )


def complete(
    tree: Mapping[str, Any],
    view: Mapping[str, Any],
    key: Ed25519PrivateKey | None = None,
    shown: Mapping[str, bytes] | None = None,
    authority: str | None = None,
) -> bytes:
    """The JSON of a report as it is written: with how it was made, and signed if there is a key.

    - shown: page and PDF by their names, which are signed with it
    - authority: of time, asked for the signed report
    """
    made = {"by": f"unmask {view['version']}", "command": view["command"], "date": view["date"]}
    whole = {**tree, "made": made}
    if view["case"] is not None:
        whole["case"] = {**view["case"], "notes": "\n".join(view["case"]["notes"])}
    if key is not None:
        if shown:
            whole["files"] = {
                name: hashlib.sha256(content).hexdigest() for name, content in shown.items()
            }
        whole = sign(whole, key)
        if authority is not None:
            whole = add_time(whole, authority)
    return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False).encode()
