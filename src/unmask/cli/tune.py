"""`unmask tune`: a few faces of one's own on top of a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask._internal.cores import cores
from unmask.cli.output import ClipsOption, JobsOption, lab, print_table, say, tell

if TYPE_CHECKING:
    from unmask.lab.export.tune import Compared


def tune(
    model: Annotated[str, typer.Argument(help="Bundle to go on from: default, or a file.")],
    out: Annotated[Path, typer.Option(help="The bundle to write (.onnx).")],
    core: Annotated[
        list[Path],
        typer.Option(help="Manifests of old faces (splits train and validation), to rehearse."),
    ],
    run: Annotated[Path, typer.Option(help="Folder for the run, and tune.json with the figures.")],
    add: Annotated[
        list[Path] | None,
        typer.Option(help="New fakes: a folder of pictures, or a manifest.", show_default=False),
    ] = None,
    add_real: Annotated[
        list[Path] | None,
        typer.Option(help="New real faces: the same.", show_default=False),
    ] = None,
    clips: ClipsOption = None,
    images: Annotated[int, typer.Option(min=256, help="Pictures shown in training.")] = 4000,
    false_alarms: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="How many more of an old source's real faces may be accused."
        ),
    ] = 0.01,
    auc: Annotated[
        float, typer.Option(min=0, max=1, help="How much AUC an old source of fakes may lose.")
    ] = 0.02,
    seed: Annotated[int, typer.Option(help="Of splits and training.")] = 1,
    allow_leak: Annotated[
        bool,
        typer.Option(help="Go on where splits share pictures; the card says so permanently."),
    ] = False,
    jobs: JobsOption = 0,
) -> None:
    """Teach a bundle a few hundred faces of your own, and refuse if it forgets.

    Figures before and after, source by source; nothing is written where an old source gets worse
    beyond the bounds.
    """
    with lab():
        from unmask.lab.export.tune import Bounds
        from unmask.lab.export.tune import tune as tune_bundle
    rows = tune_bundle(
        model,
        out,
        fakes=add or (),
        reals=add_real or (),
        core=core,
        run=run,
        images=images,
        seed=seed,
        bounds=Bounds(false_alarms, auc),
        allow_leak=allow_leak,
        clips=clips or (),
        jobs=cores(jobs),
        log=say,
    )
    _tune_table(rows)
    tell(f"written: {out} ({out.stat().st_size / 1e6:.1f} MB)")


SHOWN_FACES = 20
"""An old source with fewer is not in the table."""


def _tune_table(rows: Sequence[Compared]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("source", "class", "faces", "AUC before", "after", "called the opposite", "after")
    large = [row for row in rows if row.is_new or row.n >= SHOWN_FACES]
    for row in sorted(large, key=lambda row: not row.is_new):
        aucs = ("–" if a is None else f"{a:.3f}" for a in (row.auc_before, row.auc_after))
        wrong = (f"{share:.1%}" for share in (row.wrong_before, row.wrong_after))
        cells = (row.source, "fake" if row.label else "real", str(row.n), *aucs, *wrong)
        table.add_row(*(Text(cell) for cell in cells))
    print_table(table)
    if fewer := len(rows) - len(large):
        tell(f"and {fewer} old sources with fewer than {SHOWN_FACES} faces, in tune.json")
