"""`unmask train`, `export`, `evaluate` and `explain`: make a bundle and measure it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from unmask._internal.cores import cores
from unmask.cli.output import (
    ClipsOption,
    Device,
    DeviceOption,
    FacesOption,
    FramesOption,
    JobsOption,
    lab,
    print_table,
    progress,
    say,
    tell,
)

if TYPE_CHECKING:
    from unmask.detector import Detector
    from unmask.lab.data.manifest import Item


def _csv_file(path: Path | None) -> Path | None:
    if path is not None and path.suffix.lower() != ".csv":
        raise typer.BadParameter(f"{path} is no .csv file")
    return path


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            help=(
                "Bundles to measure: names of shipped ones, or files; or scores of another"
                " detector (.csv with path or id, and score). With --leave-out: one recipe."
            ),
            show_default=False,
        ),
    ],
    data: Annotated[
        list[Path],
        typer.Option(help="Labelled data: .parquet, .csv, or a folder with real/ and fake/."),
    ],
    out: Annotated[
        Path, typer.Option(help="Output folder for metrics.json, scores.parquet, plots and pages.")
    ],
    split: Annotated[
        str | None, typer.Option(help="Use only this split; default: all rows.")
    ] = None,
    crops: Annotated[bool, typer.Option(help="The images are already face crops.")] = False,
    faces: FacesOption = "yunet",
    frames: FramesOption = None,
    stress: Annotated[
        bool,
        typer.Option(
            "--stress",
            help="Also measure robustness to compression, resizing, blur, noise and smoothing.",
        ),
    ] = False,
    heatmaps: Annotated[
        bool,
        typer.Option(
            "--heatmaps", help="Also test the heat maps: where they point, and against random ones."
        ),
    ] = False,
    leave_out: Annotated[
        Literal["source"] | None,
        typer.Option(
            help=(
                "Leave-one-source-out: train the recipe without each data set in turn, and measure"
                " it on that data set."
            )
        ),
    ] = None,
    folds: Annotated[
        int,
        typer.Option(
            min=0, help="With --leave-out: leave data sets out in this many groups; 0: one by one."
        ),
    ] = 0,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="With --leave-out: change the recipe, key.sub=value."),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help=(
                "Also give rates of errors for each value of this column of the manifest; of"
                " UTKFace: age_group, sex, ancestry."
            )
        ),
    ] = None,
    leaderboard: Annotated[
        Path | None,
        typer.Option(
            help=(
                "Also add a line for each detector and data set to this .csv file, and write the"
                " table of AUCs beside it (.md)."
            ),
            callback=_csv_file,
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = Device.cpu,
    jobs: JobsOption = 0,
) -> None:
    """Measure one or more bundles on labelled data."""
    if leave_out:
        _leave_out(models, data, out, folds, changes or [], jobs)
        return
    if (stress or heatmaps) and not crops:
        raise typer.BadParameter(
            "--stress and --heatmaps need --crops, because they alter pictures of faces"
        )
    with lab():
        from unmask.lab.data.manifest import read_manifests, select
        from unmask.lab.evaluation.evaluate import evaluate_detectors
        from unmask.lab.evaluation.results import pair_words
        from unmask.lab.evaluation.tables import sources_table
    items = read_manifests(data)
    items = select(items, split) if split else items
    detectors = _judges(models, faces, device.value, need_detectors=stress or heatmaps)
    with progress(len(items) * len(detectors)) as advance:
        evaluation = evaluate_detectors(
            detectors,
            items,
            out,
            crops=crops,
            frames=frames,
            by=by or (),
            jobs=jobs or None,
            advance=advance,
        )
    from unmask.cli.tables import lab_table, metrics_table, source_summary

    for name, metrics in evaluation.metrics.items():
        if len(detectors) > 1:
            tell(name)
        print_table(metrics_table(metrics))
        if "sources" in metrics:
            print_table(lab_table(sources_table(metrics["sources"])))
            for line in source_summary(metrics["sources_summary"]):
                tell(line)
    for pair in evaluation.pairs:
        tell(pair_words(pair))
    files = (
        "comparison.html, .md, .json"
        if len(detectors) > 1
        else "report.html, report.md, metrics.json, .csv, scores.parquet"
    )
    tell(f"written: {out}/{files}")
    if leaderboard is not None:
        _enter(leaderboard, evaluation.metrics)
    for name, detector in detectors.items():
        folder = out / name if len(detectors) > 1 else out
        if stress:
            _stress(detector, items, folder, jobs)
        if heatmaps:
            _point(detector, items, folder, jobs)


def _enter(leaderboard: Path, metrics: dict[str, dict[str, Any]]) -> None:
    from datetime import date

    from unmask.lab.evaluation.leaderboard import add_to_leaderboard, leaderboard_rows

    today = date.today()
    rows = [row for name, of in metrics.items() for row in leaderboard_rows(name, of, today)]
    add_to_leaderboard(leaderboard, rows)
    tell(f"added to {leaderboard}: {len(rows)} lines; as a table: {leaderboard.with_suffix('.md')}")


def _judges(models: list[str], faces: str, device: str, *, need_detectors: bool) -> dict[str, Any]:
    """By name, detectors, and scores of other people's detectors."""
    from unmask.detector import load_detector
    from unmask.lab.evaluation.foreign import read_scores

    judges: dict[str, Any] = {}
    for name, model in _names(models).items():
        if not model.endswith(".csv"):
            judges[name] = load_detector(model, faces=faces, device=device)
        elif need_detectors:
            raise typer.BadParameter(f"--stress and --heatmaps need a detector; {model} is scores")
        else:
            judges[name] = read_scores(Path(model))
    return judges


def _leave_out(
    models: list[str], data: list[Path], out: Path, folds: int, changes: list[str], jobs: int
) -> None:
    if len(models) != 1:
        raise typer.BadParameter("--leave-out trains one recipe, so give the name of one")
    with lab():
        from unmask.lab.data.manifest import read_manifests
        from unmask.lab.evaluation.tables import sources_table
        from unmask.lab.recipe import load_recipe
        from unmask.lab.training.leave_out import leave_sources_out
    from unmask.cli.tables import lab_table, source_summary

    result = leave_sources_out(
        load_recipe(models[0], changes),
        read_manifests(data),
        out,
        folds=folds,
        jobs=cores(jobs),
        log=say,
    )
    print_table(lab_table(sources_table(result["sources"])))
    for line in source_summary(result["summary"]):
        tell(line)
    tell(f"written: {out}/leave_out.json, .csv, .png, and the run of each fold")


def _stress(detector: Detector, items: list[Item], out: Path, jobs: int) -> None:
    from unmask.cli.tables import stress_table
    from unmask.lab.evaluation.robustness import STRESSES
    from unmask.lab.evaluation.robustness import stress as run_stress

    with progress(1 + sum(len(kind.strengths) for kind in STRESSES.values())) as advance:
        rows = run_stress(detector, items, out, jobs=jobs or None, advance=advance)
    print_table(stress_table(rows))
    tell(f"written: {out}/stress.png, stress.csv, stress.json")


def _point(detector: Detector, items: list[Item], out: Path, jobs: int) -> None:
    from unmask.errors import LabError
    from unmask.lab.data.samples import find_samples
    from unmask.lab.explanation.deletion_insertion import GRADED, grade_maps
    from unmask.lab.explanation.pointing_game import POINTED, point, untrained_maps

    backbone = detector.bundle.card.text["made_by"].get("backbone", "")
    try:
        untrained = untrained_maps(backbone)
    except LabError:
        untrained = None
        say(
            f"unknown backbone {backbone!r}: heat maps are not compared with an untrained network's"
        )
    reals = [item for item in items if not item.label][:POINTED]
    real_faces = find_samples(reals, jobs=cores(jobs)).samples
    pointing = point(detector.bundle, real_faces, out, untrained=untrained)
    for name in ("bundle", "random", "middle", "of_another_face", "untrained"):
        if name in pointing:
            whole, parts = pointing[name], pointing[name].get("parts", {})
            line = f"{name:16} pointing {whole['pointing']:.3f}, IoU {whole['iou']:.3f}"
            tell(
                line
                + (
                    f"; parts of the face: {parts['pointing']:.3f}, {parts['iou']:.3f}"
                    if parts
                    else ""
                )
            )
    tell(f"written: {out}/heatmaps.png, heatmaps.json")
    fakes = find_samples([item for item in items if item.label][: 10 * GRADED], jobs=cores(jobs))
    with progress(GRADED) as advance:
        graded = grade_maps(detector.bundle, fakes.samples, out, reals=real_faces, advance=advance)
    areas = graded["areas"]
    tell(
        f"{graded['n']} fakes: deletion {areas['deletion']:.3f} (random"
        f" {areas['random_deletion']:.3f}), insertion {areas['insertion']:.3f} (random"
        f" {areas['random_insertion']:.3f}); faithful {graded['faithful']:.1%}, mean p"
        f" {graded['mean_p']:.3f}"
    )
    perfect = graded["true_masks"]
    if perfect["n"]:
        tell(
            f"what the test is worth: on {perfect['n']} faces whose forged part is known, its true"
            f" outline passes in {perfect['faithful']:.1%}"
        )
    tell(f"written: {out}/deletion.png, deletion.json")


def _names(models: list[str]) -> dict[str, str]:
    """A short name for each model: the file's name, or the whole path if two files share a name."""
    short = [Path(model).stem for model in models]
    return {
        model.replace("/", "_") if short.count(name) > 1 else name: model
        for name, model in zip(short, models, strict=True)
    }


def train(
    recipe: Annotated[
        str, typer.Argument(help="Recipe: the name of a shipped one, or a .yaml file.")
    ],
    data: Annotated[
        list[Path], typer.Option(help="Manifests with the splits that the recipe asks for.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and curves.")],
    override: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a setting of the recipe: key.sub=value."),
    ] = None,
    jobs: JobsOption = 0,
    devices: Annotated[
        str, typer.Option(help="Number of GPUs, or auto. (torchrun and SLURM set it themselves.)")
    ] = "auto",
    allow_leak: Annotated[
        bool, typer.Option(help="Train although the splits leak; the model card will say so.")
    ] = False,
) -> None:
    """Train a model from a recipe.

    Give the same command again to resume a run that was stopped.
    """
    with lab():
        from unmask.lab.data.manifest import read_manifests
        from unmask.lab.recipe import load_recipe
        from unmask.lab.training.train import train as run_training
    run = run_training(
        load_recipe(recipe, override or ()),
        read_manifests(data),
        out,
        jobs=cores(jobs),
        devices=devices,
        data_names=[path.name for path in data],
        allow_leak=allow_leak,
        log=say,
    )
    if os.environ.get("RANK", "0") == "0":  # of several processes one speaks
        tell(f"trained: {run}; next: unmask export {run} --data … --out FILE.onnx")


def export(
    run: Annotated[Path, typer.Argument(help="Folder that `unmask train` wrote.")],
    out: Annotated[Path, typer.Option(help="File to write (.onnx).")],
    data: Annotated[
        list[Path],
        typer.Option(help="Manifests whose validation split sets calibration and thresholds."),
    ],
    test: Annotated[
        list[Path] | None,
        typer.Option(help="Manifests whose test split is measured for the model card."),
    ] = None,
    int8: Annotated[
        bool, typer.Option(help="Quantise to 8 bits, calibrated on validation faces.")
    ] = False,
    toward: Annotated[
        Path | None,
        typer.Option(help="Average the weights with this bundle, from which the run was started."),
    ] = None,
    share: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Weight of that older bundle in the average (0: only the new model)."
        ),
    ] = 0.3,
    mean_with: Annotated[
        list[Path] | None,
        typer.Option(
            help="Other runs from the same beginning: the mean of all weights is taken.",
            show_default=False,
        ),
    ] = None,
    clips: ClipsOption = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help=(
                "Columns of --test by which the card gives rates of errors; of UTKFace: age_group,"
                " sex, ancestry."
            ),
            show_default=False,
        ),
    ] = None,
    hub: Annotated[
        Path | None,
        typer.Option(
            help="Also write a folder for the Hugging Face hub: model card, graph, weights.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Turn a trained run into a bundle, with calibration, thresholds and a model card."""
    if by and not test:
        raise typer.BadParameter("--by gives rates on the faces of --test, so it needs --test")
    with lab():
        from unmask.lab.export.export import export_run
        from unmask.lab.export.hub import write_hub_folder
    export_run(
        run,
        out,
        data,
        test or [],
        int8=int8,
        toward=toward,
        share=share,
        clips=clips or [],
        mean_with=mean_with or [],
        by=by or [],
    )
    tell(f"written: {out} ({out.stat().st_size / 1e6:.1f} MB)")
    if hub is not None:
        # weights that were averaged with others' are in the graph alone
        weights = run / "weights.safetensors" if toward is None and not mean_with else None
        for path in write_hub_folder(out, hub, weights):
            tell(f"written: {path}")


def explain(
    run: Annotated[
        Path, typer.Argument(help="Folder that `unmask train` wrote.", show_default=False)
    ],
    pictures: Annotated[list[Path], typer.Argument(help="Pictures of faces.", show_default=False)],
    out: Annotated[
        Path, typer.Option(help="Output folder: a PNG for each picture, and explain.json.")
    ],
    layer: Annotated[
        str | None,
        typer.Option(
            help="Backbone layer for Grad-CAM; default: the last one.", show_default=False
        ),
    ] = None,
    faces: FacesOption = "yunet",
) -> None:
    """Show where a trained model looks: Grad-CAM and class-activation maps, both tested."""
    with lab():
        from unmask.faces import load_finder
        from unmask.lab.explanation.gradcam import explain_run
    explain_run(run, pictures, out, load_finder(faces), layer=layer, log=say)
    tell(f"written: {out}")
