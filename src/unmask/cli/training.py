"""`unmask train`, `export` and `evaluate`: make a bundle and measure it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.output import FacesOption, FramesOption, JobsOption, lab, print_table, progress, say, tell

if TYPE_CHECKING:
    from unmask.detector import Detector
    from unmask.lab.manifest import Item


def evaluate(
    models: Annotated[
        list[str], typer.Argument(help="Shipped bundles' names, or paths of bundles.", show_default=False)
    ],
    data: Annotated[list[Path], typer.Option(help="Manifest: .parquet, .csv, or a folder with real/ and fake/.")],
    out: Annotated[Path, typer.Option(help="Folder for metrics.json, scores.parquet, plots and reports.")],
    split: Annotated[str | None, typer.Option(help="Only this split; without it, all rows.")] = None,
    crops: Annotated[bool, typer.Option(help="The images are face crops already.")] = False,
    faces: FacesOption = "yunet",
    frames: FramesOption = 32,
    stress: Annotated[bool, typer.Option("--stress", help="Also measure face crops that were degraded.")] = False,
    heatmaps: Annotated[
        bool, typer.Option("--heatmaps", help="Also grade heat maps: where they point, and against random ones.")
    ] = False,
    jobs: JobsOption = 0,
) -> None:
    """Measure one bundle, or several side by side, on labelled data."""
    if (stress or heatmaps) and not crops:
        raise typer.BadParameter("--stress and --heatmaps need --crops: they degrade and forge pictures of faces")
    with lab():
        from unmask.detector import load_detector
        from unmask.lab.evaluate import evaluate_detectors
        from unmask.lab.manifest import read_manifests, select
        from unmask.lab.results import pair_words
    items = read_manifests(data)
    items = select(items, split) if split else items
    detectors = {name: load_detector(model, faces=faces) for name, model in _names(models).items()}
    with progress(len(items) * len(detectors)) as advance:
        found = evaluate_detectors(
            detectors, items, out, crops=crops, frames=frames, jobs=jobs or None, advance=advance
        )
    from unmask.table import metrics_table

    for name, metrics in found.metrics.items():
        if len(detectors) > 1:
            tell(name)
        print_table(metrics_table(metrics))
    for pair in found.pairs:
        tell(pair_words(pair))
    files = (
        "comparison.html, .md, .json"
        if len(detectors) > 1
        else "report.html, report.md, metrics.json, .csv, scores.parquet"
    )
    tell(f"written: {out}/{files}")
    for name, detector in detectors.items():
        folder = out / name if len(detectors) > 1 else out
        if stress:
            _stress(detector, items, folder, jobs)
        if heatmaps:
            _point(detector, items, folder, jobs)


def _stress(detector: Detector, items: list[Item], out: Path, jobs: int) -> None:
    from unmask.lab.stress import STRESSES
    from unmask.lab.stress import stress as run_stress
    from unmask.table import stress_table

    with progress(1 + sum(len(kind.strengths) for kind in STRESSES.values())) as advance:
        rows = run_stress(detector, items, out, jobs=jobs or None, advance=advance)
    print_table(stress_table(rows))
    tell(f"written: {out}/stress.png, stress.csv, stress.json")


def _point(detector: Detector, items: list[Item], out: Path, jobs: int) -> None:
    from unmask.errors import LabError
    from unmask.lab.grading import GRADED, grade_maps
    from unmask.lab.pointing import POINTED, point, untrained_maps
    from unmask.lab.samples import find_samples

    backbone = detector.bundle.card.text["made_by"].get("backbone", "")
    try:
        untrained = untrained_maps(backbone)
    except LabError:
        untrained = None
        say(f"the backbone {backbone!r} is not known here: no untrained network to compare with")
    reals = [item for item in items if not item.label][:POINTED]
    found = point(
        detector.bundle, find_samples(reals, jobs=jobs or os.cpu_count() or 1).samples, out, untrained=untrained
    )
    for name in ("bundle", "random", "middle", "of_another_face", "untrained"):
        if name in found:
            whole, parts = found[name], found[name].get("parts", {})
            told = f"{name:16} pointing {whole['pointing']:.3f}, IoU {whole['iou']:.3f}"
            tell(told + (f"; parts of the face: {parts['pointing']:.3f}, {parts['iou']:.3f}" if parts else ""))
    tell(f"written: {out}/heatmaps.png, heatmaps.json")
    fakes = find_samples([item for item in items if item.label][: 10 * GRADED], jobs=jobs or os.cpu_count() or 1)
    with progress(GRADED) as advance:
        graded = grade_maps(detector.bundle, fakes.samples, out, advance=advance)
    areas = graded["areas"]
    tell(
        f"{graded['n']} fakes: deletion {areas['deletion']:.3f} (random {areas['random_deletion']:.3f}), insertion"
        f" {areas['insertion']:.3f} (random {areas['random_insertion']:.3f}); faithful {graded['faithful']:.1%},"
        f" mean p {graded['mean_p']:.3f}"
    )
    tell(f"written: {out}/deletion.png, deletion.json")


def _names(models: list[str]) -> dict[str, str]:
    """A short name for each model: the file's, or the whole path where two files are called the same."""
    short = [Path(model).stem for model in models]
    return {
        model.replace("/", "_") if short.count(name) > 1 else name: model
        for name, model in zip(short, models, strict=True)
    }


def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or the path of a .yaml file.")],
    data: Annotated[list[Path], typer.Option(help="Manifests with the splits that the recipe names.")],
    out: Annotated[Path, typer.Option(help="Run folder.")],
    override: Annotated[list[str] | None, typer.Option("--set", help="key.sub=value over the recipe.")] = None,
    jobs: JobsOption = 0,
    devices: Annotated[
        str, typer.Option(help="How many GPUs, or auto; torchrun and SLURM say it themselves.")
    ] = "auto",
    allow_leak: Annotated[bool, typer.Option(help="Train on splits that leak; the card will say so.")] = False,
) -> None:
    """Train a recipe. A run that was stopped goes on when the same command is given again."""
    with lab():
        from unmask.lab.manifest import read_manifests
        from unmask.lab.recipe import load_recipe
        from unmask.lab.train import train as run_training
    run = run_training(
        load_recipe(recipe, override or ()),
        read_manifests(data),
        out,
        jobs=jobs or os.cpu_count() or 1,
        devices=devices,
        data_names=[path.name for path in data],
        allow_leak=allow_leak,
        say=say,
    )
    if os.environ.get("RANK", "0") == "0":  # of several processes one speaks
        tell(f"trained: {run}; next: unmask export {run} --data … --out FILE.onnx")


def export(
    run: Annotated[Path, typer.Argument(help="A run folder of `unmask train`.")],
    out: Annotated[Path, typer.Option(help="The bundle to write (.onnx).")],
    data: Annotated[
        list[Path], typer.Option(help="Manifests: the validation split chooses calibration and thresholds.")
    ],
    test: Annotated[list[Path] | None, typer.Option(help="Manifests measured for the card.")] = None,
    int8: Annotated[bool, typer.Option(help="Quantise to 8 bits, calibrated on validation faces.")] = False,
    toward: Annotated[Path | None, typer.Option(help="The bundle that the run went on from: average with it.")] = None,
    share: Annotated[float, typer.Option(min=0, max=1, help="How far to go toward it.")] = 0.3,
) -> None:
    """Turn a trained run into a bundle: calibrated, with thresholds, canaries and a card."""
    with lab():
        from unmask.lab.export import export_run
    export_run(run, out, data, test or [], int8=int8, toward=toward, share=share)
    tell(f"written: {out} ({out.stat().st_size / 1e6:.1f} MB)")


def explain(
    run: Annotated[Path, typer.Argument(help="Folder of a training run.", show_default=False)],
    pictures: Annotated[list[Path], typer.Argument(help="Pictures of faces.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for a PNG of each picture and explain.json.")],
    layer: Annotated[
        str | None, typer.Option(help="Layer of the backbone for Grad-CAM; by default its last.", show_default=False)
    ] = None,
    faces: FacesOption = "yunet",
) -> None:
    """Show where a checkpoint looks: Grad-CAM beside the class-activation map, each with its grade."""
    with lab():
        from unmask.faces import load_finder
        from unmask.lab.gradcam import explain_run
    explain_run(run, pictures, out, load_finder(faces), layer=layer, say=say)
    tell(f"written: {out}")
