"""`unmask ledger`: what an archive scan has found; works while it runs, too."""

from __future__ import annotations

import json
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from unmask.cli.output import Language, LanguageOption, complain, print_table, tell

app = typer.Typer(
    help="What an archive scan has found: summary, list, export, report.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

LedgerArgument = Annotated[
    Path, typer.Argument(help="The file that `unmask scan --ledger` writes.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
GoneOption = Annotated[
    bool, typer.Option("--gone", help="Include files that were no longer there in a later scan.")
]
BelowOption = Annotated[
    str | None, typer.Option(help="Only in this folder or archive.", show_default=False)
]
ErrorOption = Annotated[
    str | None, typer.Option(help="Only with this kind of error.", show_default=False)
]


class WhichLabel(StrEnum):
    """The choices of --label."""

    fake = "fake"
    real = "real"
    inconclusive = "inconclusive"
    not_applicable = "not_applicable"


class WhichState(StrEnum):
    """The choices of --state."""

    judged = "judged"
    failed = "failed"
    postponed = "postponed"
    pending = "pending"
    under_way = "under_way"


class GroupBy(StrEnum):
    """The choices of --by."""

    folder = "folder"
    day = "day"
    modified = "modified"
    error = "error"
    model = "model"


LabelOption = Annotated[
    WhichLabel | None, typer.Option(help="Only with this verdict.", show_default=False)
]
StateOption = Annotated[
    WhichState | None, typer.Option(help="Only in this state.", show_default=False)
]


@app.command()
def summary(
    ledger: LedgerArgument,
    by: Annotated[
        GroupBy | None,
        typer.Option(
            help="Count by folder, day judged, day last modified, error or model.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Count files by verdict, and by folder, day, error or model."""
    from unmask.archive import queries

    with closing(open_ledger(ledger)) as database:
        total = queries.summary(database, str(ledger))
        rows = [] if by is None else queries.groups(database, str(ledger), queries.By(by.value))
    if as_json:
        tell(json.dumps(total | ({} if by is None else {f"by_{by}": rows}), ensure_ascii=False))
        return
    from unmask.cli.tables import ledger_lines, ledger_table, printable

    for line in ledger_lines(total):
        tell(printable(line))
    if by is not None:
        print_table(ledger_table(by.value, rows))


@app.command("list")
def list_files(
    ledger: LedgerArgument,
    label: LabelOption = None,
    state: StateOption = None,
    error: ErrorOption = None,
    below: BelowOption = None,
    gone: GoneOption = False,
    limit: Annotated[int, typer.Option(min=0, help="Show at most this many; 0: all.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """List files, the most suspicious first."""
    from unmask.archive import queries
    from unmask.cli.tables import printable

    chosen = queries.Filter(label and label.value, state and state.value, error, below, gone)
    with closing(open_ledger(ledger)) as database:
        listed = 0
        for row in queries.rows(database, str(ledger), chosen, limit or -1):
            listed += 1
            if as_json:
                tell(json.dumps(row, ensure_ascii=False))
                continue
            p = "–    " if row["probability_fake"] is None else f"{row['probability_fake']:.3f}"
            verdict = row["label"] or row["state"]
            why = row["error_message"] or (row["reasons"] or "").replace(" ", ", ")
            tell(f"{p}  {verdict:14} {printable(row['path'])}  {printable(why)}".rstrip())
    if limit and listed == limit:
        complain(f"only the first {limit} are listed; --limit 0 lists all")


@app.command()
def export(
    ledger: LedgerArgument,
    out: Annotated[
        Path,
        typer.Option(
            help=(
                "File to write: a table (.csv, .parquet), the reports (.jsonl), or a page (.html)."
            )
        ),
    ],
    label: LabelOption = None,
    state: StateOption = None,
    error: ErrorOption = None,
    below: BelowOption = None,
    gone: GoneOption = False,
    reports: Annotated[
        Path | None,
        typer.Option(
            help="Folder with reports that the .html page should link to.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Export files and verdicts for other programs, or as a page to look at."""
    from unmask.archive import queries

    chosen = queries.Filter(label and label.value, state and state.value, error, below, gone)
    with closing(open_ledger(ledger)) as database:
        if out.suffix == ".html":
            from unmask.archive.overview import write_overview

            count = write_overview(database, str(ledger), out, chosen, reports)
        else:
            count = queries.export(database, str(ledger), out, chosen)
    tell(f"written: {out}, {count:,} files")


@app.command()
def report(
    ledger: LedgerArgument,
    file: Annotated[
        str,
        typer.Argument(
            help="The file's path, or the first digits of its sha-256.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the page, the PDF and the JSON.")],
    model: Annotated[
        str, typer.Option(help="The bundle that judged it: the name of a shipped one, or a file.")
    ] = "default",
    language: LanguageOption = Language.en,
) -> None:
    """Write the full report on one file, which is judged once more with the same bundle."""
    from unmask._internal.atomic import output_folder
    from unmask.archive import queries
    from unmask.archive.rescan import rescan
    from unmask.report.files import write_report

    with closing(open_ledger(ledger)) as database:
        row = queries.find(database, str(ledger), file)
    result, card = rescan(row, model)
    for path in write_report(result, card, output_folder(out), language=language.value):
        tell(f"written: {path}")


def open_ledger(path: Path) -> Any:
    from unmask.archive import read_ledger

    return read_ledger(path)
