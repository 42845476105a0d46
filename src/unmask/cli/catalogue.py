"""`unmask models` and `unmask recipes`: the bundles and the training recipes at hand."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Annotated

import typer

from unmask._internal.atomic import output_errors
from unmask._internal.cores import cores
from unmask.cli.examples import WRAP
from unmask.cli.output import (
    ClipsOption,
    JobsOption,
    ModelArgument,
    Truth,
    lab,
    say,
    tell,
)

models = typer.Typer(
    help="Model bundles: list, show, check, measure, make, learn, learn-videos, wrap.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
recipes = typer.Typer(
    help="Training recipes: list, show, copy, check.", no_args_is_help=True, rich_markup_mode=None
)


@models.command("list")
def list_models() -> None:
    """List the bundles on this machine: the one that comes with unmask, and what was made here."""
    from unmask.bundle import read_seal
    from unmask.bundle.registry import bundles_here, find_bundle

    for name in bundles_here():
        path = find_bundle(name)
        card = read_seal(path.read_bytes())
        tell(
            f"{name:16} {card['name']} {card['version']}  {path.stat().st_size / 1e6:.1f} MB "
            f" {card['licence']}"
        )


@models.command("show")
def show_model(
    model: ModelArgument = "default",
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Print the model card of a bundle."""
    from unmask.bundle.registry import find_bundle
    from unmask.bundle.session import load_bundle

    card = load_bundle(str(find_bundle(model))).card.text
    if as_json:
        tell(json.dumps(card, indent=2, ensure_ascii=False))
        return
    from unmask.cli.tables import card_lines

    for line in card_lines(card):
        tell(line)


@models.command("check")
def check_model(model: ModelArgument = "default") -> None:
    """Check a bundle: digests, card, graph and self-test."""
    from unmask.bundle import load_bundle

    bundle = load_bundle(model)
    canaries = len(bundle.card.canaries.logits)
    tell(
        f"{bundle.id.name} {bundle.id.version}: digests, card and graph are right; self-test"
        f" passed ({canaries} inputs)"
    )


@models.command("measure")
def measure_model(
    model: ModelArgument,
    out: Annotated[
        Path,
        typer.Option(
            help="The bundle to write (.onnx), or of `accurate` the part that was learnt"
            " (.safetensors)."
        ),
    ],
    test: Annotated[
        list[Path] | None,
        typer.Option(help="Manifests of labelled faces, for the card's figures."),
    ] = None,
    clips: ClipsOption = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help=(
                "Columns by which the card gives rates of errors; of UTKFace: age_group, sex,"
                " ancestry."
            )
        ),
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="Of the new card.", show_default="as it was")
    ] = None,
) -> None:
    """Measure a bundle anew: the figures in its card, its thresholds for clips, or both."""
    with lab():
        from unmask.lab.export.accurate import measure_learnt
        from unmask.lab.export.export import Anew, measure_again
    if not test and not clips:
        raise typer.BadParameter("give --test for figures, --clips for thresholds, or both")
    if by and not test:
        raise typer.BadParameter("--by gives rates of test faces: it needs --test")
    anew = Anew(test or (), by or (), clips or (), version)
    if out.suffix == ".safetensors":
        measure_learnt(model, anew, out)
    else:
        measure_again(model, anew, out)
    tell(f"written: {out}")


@models.command("make")
def make_model(
    name: Annotated[str, typer.Argument(help="Which one: accurate.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The bundle to write (.onnx).", show_default="where scans look for it"),
    ] = None,
    learnt: Annotated[
        Path | None,
        typer.Option(
            help="File that `models learn` wrote.", show_default="the one that comes with unmask"
        ),
    ] = None,
) -> None:
    """Put the larger bundle "accurate" together on this machine."""
    _require_accurate(name)
    with lab("large"):
        from unmask.lab.export.joining import make
    made = make(out, learnt)
    name = str(made) if out is not None else "accurate"
    tell(f"written: {made} ({made.stat().st_size / 1e6:.1f} MB); use it with --model {name}")


@models.command("learn")
def learn_model(
    name: Annotated[str, typer.Argument(help="Which one: accurate.")],
    run: Annotated[Path, typer.Argument(help="Run folder of a recipe that tunes CLIP's tower.")],
    data: Annotated[
        list[Path], typer.Option(help="Manifests with the splits that the recipe names.")
    ],
    out: Annotated[Path, typer.Option(help="File to write, for `models make` (.safetensors).")],
    test: Annotated[
        list[Path] | None, typer.Option(help="Manifests measured for the card.")
    ] = None,
    train: Annotated[
        list[Path] | None,
        typer.Option(
            help="Manifests whose training split teaches the second head, if the recipe wants one.",
            show_default="those of --data",
        ),
    ] = None,
    clips: ClipsOption = None,
    average_with: Annotated[
        Path | None,
        typer.Option(
            help="The run that this one went on from: take the mean of both.", show_default=False
        ),
    ] = None,
    jobs: JobsOption = 0,
) -> None:
    """Mix a tuned tower with the default bundle, and write the part of "accurate" that is ours."""
    _require_accurate(name)
    with lab():
        from unmask.lab.export.accurate import learn
    learn(
        run,
        data,
        test or [],
        out,
        train=train or [],
        clips=clips or [],
        average_with=average_with,
        jobs=cores(jobs),
        log=say,
    )
    tell(f"written: {out}")


@models.command("learn-videos")
def learn_videos(
    name: Annotated[str, typer.Argument(help="Which one: accurate.")],
    clips: Annotated[
        list[Path],
        typer.Option(
            help=(
                "Manifests of whole clips. Those of the split test are kept out; those of the"
                " split train, whose frames the tower was trained on, count less."
            )
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write, for `models make` (.safetensors).")],
    learnt: Annotated[
        Path | None,
        typer.Option(
            help="File that `models learn` wrote.", show_default="the one that comes with unmask"
        ),
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="Version of the new card.", show_default=False)
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            help=(
                "CSV file to write: the probability of each clip, by heads that saw none of its"
                " data set."
            ),
            show_default=False,
        ),
    ] = None,
) -> None:
    """Learn how "accurate" judges faces in videos, from labelled clips."""
    _require_accurate(name)
    with lab():
        from unmask.lab.export.videos import learn_from_clips
    learn_from_clips(clips, out, learnt=learnt, version=version, keep_scores=scores, log=say)
    tell(f"written: {out}")


@models.command("wrap", epilog=WRAP)
def wrap_model(
    source: Annotated[
        Path,
        typer.Argument(
            help="An .onnx file, a checkpoint (with --timm), or a folder of the Hugging Face hub."
        ),
    ],
    data: Annotated[
        list[Path],
        typer.Option(help="Labelled faces that were not trained on: they prove and calibrate."),
    ],
    out: Annotated[Path, typer.Option(help="The bundle to write (.onnx).")],
    positive: Annotated[
        Truth | None,
        typer.Option(
            help="What a high output, or the second of two, stands for.",
            show_default="as the folder's labels say",
        ),
    ] = None,
    timm: Annotated[
        str | None,
        typer.Option(help="The checkpoint's architecture, by timm's name.", show_default=False),
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=16, help="Side of the input, in pixels.", show_default=False)
    ] = None,
    margin: Annotated[float, typer.Option(help="Side of the crop, in faces.")] = 1.3,
    centre_y: Annotated[
        float, typer.Option(min=0, max=1, help="Where the crop's centre lies in the face, 0–1.")
    ] = 0.5,
    mean: Annotated[
        tuple[float, float, float] | None,
        typer.Option(help="Of the channels, as the network takes them.", show_default=False),
    ] = None,
    std: Annotated[
        tuple[float, float, float] | None, typer.Option(help="The same.", show_default=False)
    ] = None,
    bgr: Annotated[bool, typer.Option(help="The network takes blue first.")] = False,
    output: Annotated[
        str | None, typer.Option(help="Which of several outputs is meant.", show_default=False)
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Use only this split of --data.", show_default="all rows")
    ] = None,
    test: Annotated[
        list[Path] | None, typer.Option(help="Manifests measured for the card.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The bundle's name.", show_default="the file's")
    ] = None,
    licence: Annotated[
        str, typer.Option(help="Of the network, for the card.")
    ] = "not known: made elsewhere",
) -> None:
    """Make a bundle of somebody else's network, once labelled faces bear out what it says."""
    with lab():
        from unmask.lab.export.wrap import Words, wrap
        from unmask.lab.models.foreign import Preprocessing, read_network
    network = read_network(source, timm, size)
    stands_for = positive.value if positive is not None else network.positive
    if stands_for is None:
        raise typer.BadParameter(
            "nothing says what the output stands for: --positive fake, or --positive real"
        )
    says = network.preprocessing
    wanted = Preprocessing(
        size or says.size,
        margin,
        centre_y,
        mean or says.mean,
        std or says.std,
        "BGR" if bgr else says.order,
    )
    words = Words(name or source.stem, licence, source.name)
    wrap(
        network.graph,
        out,
        data,
        stands_for,
        wanted,
        words,
        split=split,
        test=test or [],
        output=output,
    )
    tell(f"written: {out} ({out.stat().st_size / 1e6:.1f} MB); use it with --model {out}")


def _require_accurate(name: str) -> None:
    if name != "accurate":
        raise typer.BadParameter(f"only 'accurate' is made from parts, not {name!r}")


def _first_sentence(recipe: str) -> str:
    """What a recipe is, by the comment that it begins with, without what is in brackets."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), recipe.splitlines())
    comment = " ".join(line.lstrip("# ") for line in lines)
    return re.sub(r" \([^)]*\)", "", re.split(r"(?<=\.) ", comment)[0])


@recipes.command("list")
def list_recipes() -> None:
    """List the recipes that come with unmask."""
    with lab():
        from unmask.lab.recipe import shipped_recipes
    for name, path in shipped_recipes().items():
        tell(f"{name:25}  {_first_sentence(path.read_text(encoding='utf-8'))}")


@recipes.command("show")
def show_recipe(name: str) -> None:
    """Print a recipe."""
    tell(_shipped_recipe(name).read_text().rstrip())


@recipes.command("copy")
def copy_recipe(name: str, to: Path) -> None:
    """Copy a recipe to a file, to change it."""
    text = _shipped_recipe(name).read_text()
    with output_errors(to), to.open("x") as file:
        file.write(text)
    tell(f"written: {to}")


@recipes.command("check")
def check_recipe(
    recipe: str, override: Annotated[list[str] | None, typer.Option("--set")] = None
) -> None:
    """Check a recipe, and list all its mistakes."""
    with lab():
        from unmask.lab.recipe import load_recipe
    tell(f"{load_recipe(recipe, override or ()).name}: no mistakes")


def _shipped_recipe(name: str) -> Path:
    with lab():
        from unmask.lab.recipe import find_recipe
    return find_recipe(name)
