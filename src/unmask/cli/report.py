"""`unmask report`: check signed reports, and make a key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unmask.cli.output import DONE, FAILED, complain, tell
from unmask.errors import SignatureError

app = typer.Typer(help="Sign reports and check signatures.", no_args_is_help=True)


@app.command()
def verify(
    reports: Annotated[list[Path], typer.Argument(help="JSON reports.", show_default=False)],
    key: Annotated[
        Path | None,
        typer.Option(help="Require that this public key (PEM) signed them.", show_default=False),
    ] = None,
) -> None:
    """Check that signed reports are unchanged; exit code 1 if one is not."""
    from unmask.report.signature import verify as check

    whose = "the key you named" if key else "a key whose owner is not proven by the file"
    failed = False
    for path in reports:
        try:
            tell(f"{path}: unchanged since it was signed by {check(path, key)}, {whose}")
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
