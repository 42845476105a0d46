"""`unmask report`: check signed reports, and make a key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.output import DONE, FAILED, complain, print_table, tell
from unmask.errors import SignatureError

if TYPE_CHECKING:
    from unmask.report.timestamp import Stamp

app = typer.Typer(help="Sign reports and check signatures.", no_args_is_help=True)


case_app = typer.Typer(help="Check and show the log of a case.", no_args_is_help=True)

AuthoritiesOption = Annotated[
    Path | None,
    typer.Option(
        help="Require that time stamps lead to these certificates (PEM).", show_default=False
    ),
]


@app.command()
def verify(
    reports: Annotated[list[Path], typer.Argument(help="JSON reports.", show_default=False)],
    key: Annotated[
        Path | None,
        typer.Option(help="Require that this public key (PEM) signed them.", show_default=False),
    ] = None,
    authorities: AuthoritiesOption = None,
) -> None:
    """Check that signed reports are unchanged; exit code 1 if one is not."""
    from unmask.report.signature import stamped
    from unmask.report.signature import verify as check

    whose = "the key you named" if key else "a key whose owner is not proven by the file"
    failed = False
    for path in reports:
        try:
            signed_by = check(path, key)
            tell(f"{path}: unchanged since it was signed by {signed_by}, {whose}")
            if (seen := stamped(path, authorities)) is not None:
                tell(f"  {_time_words(seen)}")
        except SignatureError as error:
            complain(str(error))
            failed = True
    raise typer.Exit(FAILED if failed else DONE)


@app.command("new-key")
def new_key(
    path: Annotated[
        Path, typer.Argument(help="File for the private key; .pub is added for the public one.")
    ],
) -> None:
    """Create an Ed25519 key pair for signing reports."""
    from unmask.report.signature import new_key as make

    tell(f"written: {path} (keep it private) and {path}.pub; fingerprint {make(path)}")


@case_app.command("verify")
def verify_case(
    case: Annotated[Path, typer.Argument(help="Folder of a case.", show_default=False)],
    key: Annotated[
        Path | None,
        typer.Option(help="Require that this public key (PEM) signed it.", show_default=False),
    ] = None,
    authorities: AuthoritiesOption = None,
    files: Annotated[
        bool, typer.Option(help="Also read the judged files again, and compare their sha-256.")
    ] = False,
    head: Annotated[
        str | None,
        typer.Option(help="Require this digest, noted before: nothing was cut off since."),
    ] = None,
) -> None:
    """Check a case: chain, signatures, times and reports; exit code 1 if anything does not fit."""
    from unmask.custody import verify_case as check

    found = check(case, key=key, authorities=authorities, files=files, head=head)
    for fault in found.faults:
        complain(fault)
    count = len(found.entries)
    tell(f"{count} {'entry' if count == 1 else 'entries'}, {len(found.times)} with a time stamp")
    for fingerprint in sorted(found.signed_by):
        tell(f"signed by {fingerprint}")
    if found.times and authorities is None:
        tell("the time authorities' certificates were not checked: name them by --authorities FILE")
    tell(f"digest of the last entry, to be noted elsewhere: {found.head}")
    if found.faults:
        raise typer.Exit(FAILED)
    tell("nothing was changed, left out or moved")


@case_app.command("show")
def show_case(
    case: Annotated[Path, typer.Argument(help="Folder of a case.", show_default=False)],
) -> None:
    """Print what was judged, when, by whom and with which outcome; and if anything was changed."""
    from rich.table import Table
    from rich.text import Text

    from unmask.cli.tables import printable
    from unmask.custody import verify_case as check

    found = check(case)
    table = Table("", "when", "who", "file", "sha-256", "outcome")
    for entry in found.entries:
        outcome = entry["outcome"]
        row = (
            str(entry["number"]),
            entry["at"],
            entry["who"],
            Path(entry["file"]["path"]).name,
            (entry["file"]["sha256"] or "–")[:12],
            str(outcome.get("verdict") or outcome.get("error")),
        )
        table.add_row(*(Text(printable(cell)) for cell in row))
    print_table(table)
    if found.faults:
        complain(f"{len(found.faults)} faults: unmask case verify {case}")


def _time_words(seen: Stamp) -> str:
    trusted = "" if seen.trusted else "; its certificate was not checked (--authorities)"
    return f"seen at {seen.time.isoformat(timespec='seconds')} by {seen.authority}{trusted}"
