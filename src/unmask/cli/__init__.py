"""The command line. It prints; nothing else does. Heavy imports wait until a command needs them."""

from __future__ import annotations

import os
import sys

import typer

from unmask.cli import catalogue, data, ledger, reports, scanning, serving, training
from unmask.cli.output import DONE, FAILED, INTERRUPTED, USAGE, complain, tell
from unmask.errors import UnmaskError

app = typer.Typer(
    name="unmask",
    help="Tells whether a face in an image or a video was faked, and shows the evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(scanning.scan)
app.command()(scanning.demo)
app.command()(serving.serve)
app.command()(training.evaluate)
app.command()(training.train)
app.command()(training.export)
app.command()(training.explain)
app.add_typer(reports.app, name="report")
app.add_typer(ledger.app, name="ledger")
app.add_typer(data.app, name="data")
app.add_typer(catalogue.models, name="models")
app.add_typer(catalogue.recipes, name="recipes")


@app.command()
def doctor() -> None:
    """Say what is installed, which optional parts are missing, and how to get them."""
    from unmask.doctor import examine

    findings = examine()
    for finding in findings:
        mark = "ok " if finding.ok else "-  " if finding.optional else "BAD"
        tell(f"{mark}  {finding.what:24} {finding.detail}")
    raise typer.Exit(DONE if all(finding.ok or finding.optional for finding in findings) else FAILED)


def main() -> None:
    """Entry point: errors that unmask raises become one line on stderr and an exit code."""
    code: int = FAILED
    try:
        code = app(standalone_mode=False) or DONE
        sys.stdout.flush()
    except typer.Exit as error:
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except UnmaskError as error:
        complain(str(error))
    except BrokenPipeError:
        pass  # the reader of our output has gone: nobody to tell
    except OSError as error:
        complain(f"cannot write the output: {error.strerror or error}")
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        error.show()  # type: ignore[attr-defined]  # typer's usage errors
        code = USAGE
    if code == INTERRUPTED:  # typer, too, turns Ctrl-C into this code
        complain("stopped")
    _leave(code)


def _leave(code: int) -> None:
    """Exit without waiting for threads that are still at a file, and without a second fault from a broken stdout."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError) and code != FAILED:
            complain(f"cannot write the output: {error.strerror or error}")
        code = FAILED
    sys.stderr.flush()
    os._exit(code)
