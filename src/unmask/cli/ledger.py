"""`unmask ledger`: ask what an archive scan has found, also while it runs."""

from __future__ import annotations

import json
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from unmask.cli.output import complain, print_table, tell

app = typer.Typer(
    help="Ledgers of archive scans: summary, list, export, report.", no_args_is_help=True, rich_markup_mode=None
)

LedgerArgument = Annotated[
    Path, typer.Argument(help="The file that `unmask scan --ledger` writes.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON on stdout.")]
GoneOption = Annotated[bool, typer.Option("--gone", help="Also files that a later scan did not find any more.")]
BelowOption = Annotated[str | None, typer.Option(help="Only in this folder or archive.", show_default=False)]
ErrorOption = Annotated[str | None, typer.Option(help="Only with this kind of error.", show_default=False)]


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


LabelOption = Annotated[WhichLabel | None, typer.Option(help="Only with this verdict.", show_default=False)]
StateOption = Annotated[WhichState | None, typer.Option(help="Only in this state.", show_default=False)]


@app.command()
def summary(
    ledger: LedgerArgument,
    by: Annotated[
        GroupBy | None,
        typer.Option(help="Count by folder, day of judging, day of last change, error or model.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Count the files by verdict, and by what --by says."""
    from unmask.archive import asking

    with closing(asking_ledger(ledger)) as database:
        total = asking.summary(database, str(ledger))
        rows = [] if by is None else asking.groups(database, str(ledger), asking.By(by.value))
    if as_json:
        tell(json.dumps(total | ({} if by is None else {f"by_{by}": rows}), ensure_ascii=False))
        return
    from unmask.table import ledger_lines, ledger_table, printable

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
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0: all.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """List files, the most suspected first."""
    from unmask.archive import asking
    from unmask.table import printable

    chosen = asking.Filter(label and label.value, state and state.value, error, below, gone)
    with closing(asking_ledger(ledger)) as database:
        shown = 0
        for row in asking.rows(database, str(ledger), chosen, limit or -1):
            shown += 1
            if as_json:
                tell(json.dumps(row, ensure_ascii=False))
                continue
            p = "–    " if row["probability_fake"] is None else f"{row['probability_fake']:.3f}"
            verdict = row["label"] or row["state"]
            why = row["error_message"] or (row["reasons"] or "").replace(" ", ", ")
            tell(f"{p}  {verdict:14} {printable(row['path'])}  {printable(why)}".rstrip())
    if limit and shown == limit:
        complain(f"the first {limit}; --limit 0 lists all")


@app.command()
def export(
    ledger: LedgerArgument,
    out: Annotated[
        Path, typer.Option(help="A table (.csv, .parquet), the reports (.jsonl), or an overview to look at (.html).")
    ],
    label: LabelOption = None,
    state: StateOption = None,
    error: ErrorOption = None,
    below: BelowOption = None,
    gone: GoneOption = False,
    reports: Annotated[
        Path | None,
        typer.Option(
            help="Folder with reports (scan --report, ledger report) that .html leads to.", show_default=False
        ),
    ] = None,
) -> None:
    """Write the files and verdicts for other programs, or as a page to look at."""
    from unmask.archive import asking

    chosen = asking.Filter(label and label.value, state and state.value, error, below, gone)
    with closing(asking_ledger(ledger)) as database:
        if out.suffix == ".html":
            from unmask.archive.overview import write_overview

            count = write_overview(database, str(ledger), out, chosen, reports)
        else:
            count = asking.export(database, str(ledger), out, chosen)
    tell(f"written: {out}, {count:,} files")


@app.command()
def report(
    ledger: LedgerArgument,
    file: Annotated[str, typer.Argument(help="Its path, or the first digits of its sha-256.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the page, the PDF and the JSON.")],
    model: Annotated[str, typer.Option(help="The bundle that judged it: a shipped one's name, or a file.")] = "default",
) -> None:
    """Make the report of one file, with its evidence: it is judged once more, by the same bundle and settings."""
    from unmask.archive import asking
    from unmask.archive.again import judge_again
    from unmask.report.write import prepare_folder, write_report

    with closing(asking_ledger(ledger)) as database:
        row = asking.find(database, str(ledger), file)
    result, card = judge_again(row, model)
    for path in write_report(result, card, prepare_folder(out)):
        tell(f"written: {path}")


def asking_ledger(path: Path) -> Any:
    from unmask.archive import read_ledger

    return read_ledger(path)
