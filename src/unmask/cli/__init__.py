"""The command line.

It prints; nothing else does. Heavy imports wait until a command needs them.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated

import typer

from unmask.cli import (
    catalogue,
    data,
    examples,
    ledger,
    regress,
    report,
    scan,
    serve,
    training,
    tune,
)
from unmask.cli.help import in_plain_words
from unmask.cli.output import DONE, FAILED, INTERRUPTED, USAGE, complain, tell
from unmask.errors import UnmaskError

app = typer.Typer(
    name="unmask",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=examples.SCAN)(scan.scan)
app.command()(scan.demo)
app.command(epilog=examples.SERVE)(serve.serve)
app.command(epilog=examples.MCP)(serve.mcp)
app.command(epilog=examples.REGRESS)(regress.regress)
app.command(epilog=examples.EVALUATE)(training.evaluate)
app.command(epilog=examples.TRAIN)(training.train)
app.command(epilog=examples.EXPORT)(training.export)
app.command(epilog=examples.TUNE)(tune.tune)
app.command(epilog=examples.EXPLAIN)(training.explain)
app.add_typer(report.app, name="report")
app.add_typer(report.case_app, name="case")
app.add_typer(ledger.app, name="ledger")
app.add_typer(data.app, name="data")
app.add_typer(catalogue.models, name="models")
app.add_typer(catalogue.recipes, name="recipes")


def _print_version(wanted: bool) -> None:
    if wanted:
        import unmask

        tell(f"unmask {unmask.__version__}")
        raise typer.Exit(DONE)


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Tells whether a face in a picture or a video was faked, and shows the evidence."""


@app.command()
def doctor() -> None:
    """Check the installation: what works, what is missing, and how to get it."""
    from unmask.cli.doctor import examine

    diagnoses = examine()
    for diagnosis in diagnoses:
        mark = "ok "
        if not diagnosis.ok:
            mark = "-  " if diagnosis.optional else "BAD"
        tell(f"{mark}  {diagnosis.what:24} {diagnosis.detail}")
    healthy = all(diagnosis.ok or diagnosis.optional for diagnosis in diagnoses)
    raise typer.Exit(DONE if healthy else FAILED)


@app.command()
def plugins() -> None:
    """List the parts that other installed packages bring: finders, readers, detectors, checks."""
    from unmask.cli.doctor import PLUGIN_GROUPS, installed_plugins

    installed = installed_plugins()
    for group, purpose in PLUGIN_GROUPS.items():
        tell(f"{group}: {purpose}")
        in_group = [plugin for plugin in installed if plugin.group == group]
        for plugin in in_group:
            tell(f"  {plugin.name:20} {plugin.target}  ({plugin.package})")
        if not in_group:
            tell("  none")


def main() -> None:
    """Entry point: errors that unmask raises become one line on stderr and an exit code."""
    code: int = FAILED
    # what Pillow has to say of a broken file does not name it, and stands in the report
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        command = in_plain_words(typer.main.get_command(app))
        code = command(standalone_mode=False) or DONE
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
    """Exit without waiting for threads, and without a second error from a broken stdout."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError) and code != FAILED:
            complain(f"cannot write the output: {error.strerror or error}")
        code = FAILED
    sys.stderr.flush()
    os._exit(code)
