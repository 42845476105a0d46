"""`unmask regress`: known files, and what a model makes of them now."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.output import (
    DONE,
    FAILED,
    SOME_UNJUDGED,
    FacesOption,
    ModelOption,
    Truth,
    print_table,
    tell,
)

if TYPE_CHECKING:
    from unmask.regression import Outcome


MARKS = {"mended": "mended", "worse": "WORSE", "same": "", "first": "new"}


def regress(
    known: Annotated[
        Path, typer.Argument(help="The set: a line of JSON for each file.", show_default=False)
    ],
    model: ModelOption = "default",
    faces: FacesOption = "yunet",
    files: Annotated[
        list[Path] | None,
        typer.Option(help="Folders where files are found by their content.", show_default=False),
    ] = None,
    add: Annotated[
        Path | None, typer.Option(help="Instead: add this file to the set.", show_default=False)
    ] = None,
    expected: Annotated[
        Truth | None, typer.Option(help="With --add: what it really is.", show_default=False)
    ] = None,
    note: Annotated[str, typer.Option(help="With --add: why it is in the set.")] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per file on stdout.")
    ] = False,
) -> None:
    """Judge files whose truth is known, and compare with what was said of them before.

    Exit code 0: none is judged wrongly that was not before; 1: some are; 3: none, but some could
    not be judged or found.
    """
    from unmask.detector import load_detector
    from unmask.regression import add_known, compare, entry_of, read_known

    if (add is None) != (expected is None):
        raise typer.BadParameter(
            "--add FILE needs --expected real or fake, and the other way round"
        )
    if add is not None and expected is not None:
        report = load_detector(model, faces=faces).scan(add)
        add_known(known, entry_of(report, expected.value, note))
        tell(f"added: {add}, {expected.value}; the model says {report.verdict.label}")
        return
    entries = read_known(known)
    outcomes = compare(load_detector(model, faces=faces), entries, known.parent, files or ())
    unjudged = sum(outcome.label not in _LABELS for outcome in outcomes)
    counted = {kind: sum(outcome.change == kind for outcome in outcomes) for kind in MARKS}
    if as_json:
        for outcome in outcomes:
            tell(json.dumps(asdict(outcome), ensure_ascii=False))
    else:
        _table(outcomes)
        tell(
            f"{len(outcomes)} files: {sum(outcome.wrong for outcome in outcomes)} judged wrongly,"
            f" {counted['worse']} of them not before; {counted['mended']} mended;"
            f" {unjudged} missing or not judged"
        )
    raise typer.Exit(FAILED if counted["worse"] else SOME_UNJUDGED if unjudged else DONE)


_LABELS = ("real", "fake", "inconclusive", "not_applicable")


def _table(outcomes: list[Outcome]) -> None:
    from rich.table import Table
    from rich.text import Text

    from unmask.cli.tables import printable

    table = Table("file", "truth", "before", "now", "", "note")
    for outcome in outcomes:
        before = outcome.known.before or {}
        now = outcome.label
        if outcome.probability_fake is not None:
            now += f" {outcome.probability_fake:.3f}"
        cells = (
            _name(outcome),
            outcome.known.expected,
            str(before.get("label", "–")),
            f"{now}{' (wrong)' if outcome.wrong else ''}",
            MARKS[outcome.change],
            outcome.known.note,
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))
    print_table(table)


def _name(outcome: Outcome) -> str:
    return Path(outcome.known.path).name or outcome.known.sha256[:12]
