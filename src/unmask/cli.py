"""The command line. It prints; nothing else does. Heavy imports wait until a command needs them."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unmask.errors import NothingToJudgeError, OutputError, UnmaskError

if TYPE_CHECKING:
    from rich.table import Table

    from unmask.types import Failure, Report

DONE, FAILED, USAGE, SOME_UNJUDGED, INTERRUPTED = 0, 1, 2, 3, 130

app = typer.Typer(
    name="unmask",
    help="Tells whether a face in an image or a video was faked, and shows the evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
models = typer.Typer(help="The bundles: list, show, check.", no_args_is_help=True, rich_markup_mode=None)
recipes = typer.Typer(help="The recipes: list, show, copy, check.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(models, name="models")
app.add_typer(recipes, name="recipes")

ModelOption = Annotated[str, typer.Option(help="A shipped bundle's name, or the path of a bundle.")]
ModelArgument = Annotated[str, typer.Argument(help="A shipped bundle's name, or the path of a bundle.")]
FacesOption = Annotated[str, typer.Option(help="Face finder: yunet, mtcnn, dlib, or yunet=FILE.")]
JobsOption = Annotated[int, typer.Option(min=0, help="Files at a time; 0: one for each core.")]
FramesOption = Annotated[int, typer.Option(min=1, help="Frames looked at in a video, evenly spaced in time.")]


class Engine(StrEnum):
    """The choices of --engine."""

    onnxruntime = "onnxruntime"
    openvino = "openvino"


@app.command()
def scan(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, videos, or folders of them.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a file on stdout (JSON Lines).")] = False,
    model: ModelOption = "default",
    frames: FramesOption = 32,
    explain: Annotated[bool, typer.Option(help="Keep a heat map of each face.")] = False,
    report: Annotated[Path | None, typer.Option(help="Folder for the JSON report of each file.")] = None,
    faces: FacesOption = "yunet",
    jobs: JobsOption = 0,
    engine: Annotated[Engine, typer.Option(help="What runs the bundle.")] = Engine.onnxruntime,
    max_pixels: Annotated[int, typer.Option(min=1, help="Larger pictures are refused.")] = 100_000_000,
) -> None:
    """Judge pictures and videos.

    Exit code 0: all judged, whatever the verdict; 1: failed; 2: wrong usage; 3: some files could not be judged for a
    fault of the file.
    """
    from unmask.detector import load_detector
    from unmask.types import Failure

    folder = _report_folder(report)
    files, failures = _expand(paths)
    jobs = jobs or min(len(files), os.cpu_count() or 1) or 1
    threads = 1 if jobs > 1 else 0  # side by side, files keep the cores busy better than the threads of one score do
    detector = load_detector(model, faces=faces, engine=engine.value, threads=threads, max_pixels=max_pixels)
    counts: Counter[str] = Counter()
    for failure in failures:
        counts["failed"] += 1
        _show(failure, as_json)
    results = detector.scan_many(files, frames=frames, explain=explain, jobs=jobs)
    # on a terminal that shows each result as it comes, the results are the progress
    with _progress(len(files), quiet=sys.stdout.isatty()) as advance:
        for result in results:
            advance()
            counts["failed" if isinstance(result, Failure) else result.verdict.label] += 1
            _show(result, as_json)
            if folder is not None:
                _write_report(result, folder)
    if not as_json and sum(counts.values()) > 1:
        _print(f"{sum(counts.values())} files: " + ", ".join(f"{n} {label}" for label, n in sorted(counts.items())))
    raise typer.Exit(SOME_UNJUDGED if counts["failed"] else DONE)


@app.command()
def demo() -> None:
    """Judge the pictures and the clip that come with unmask; each is shown with its origin."""
    from unmask.demo import demo_media
    from unmask.detector import load_detector

    exhibits = demo_media()
    results = load_detector().scan_many([exhibit.path for exhibit in exhibits])
    for exhibit, result in zip(exhibits, results, strict=True):
        _show(result, as_json=False)
        _print(f"  truth: {exhibit.truth}. {exhibit.origin}\n")


@app.command()
def evaluate(
    model: ModelArgument,
    data: Annotated[list[Path], typer.Option(help="Manifest: .parquet, .csv, or a folder with real/ and fake/.")],
    out: Annotated[Path, typer.Option(help="Folder for metrics.json, scores.parquet and plots.")],
    split: Annotated[str | None, typer.Option(help="Only this split; without it, all rows.")] = None,
    crops: Annotated[bool, typer.Option(help="The images are face crops already.")] = False,
    faces: FacesOption = "yunet",
    frames: FramesOption = 32,
    jobs: JobsOption = 0,
) -> None:
    """Measure a bundle on labelled data."""
    with _lab():
        from unmask.detector import load_detector
        from unmask.lab.evaluate import evaluate_detector
        from unmask.lab.manifest import read_manifests, select
    items = read_manifests(data)
    items = select(items, split) if split else items
    with _progress(len(items)) as advance:
        metrics = evaluate_detector(
            load_detector(model, faces=faces),
            items,
            out,
            crops=crops,
            frames=frames,
            jobs=jobs or None,
            advance=advance,
        )
    from unmask.table import metrics_table

    _print_table(metrics_table(metrics))
    _print(f"written: {out}/metrics.json, scores.parquet, roc.png, reliability.png")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or the path of a .yaml file.")],
    data: Annotated[list[Path], typer.Option(help="Manifests with the splits that the recipe names.")],
    out: Annotated[Path, typer.Option(help="Run folder.")],
    override: Annotated[list[str] | None, typer.Option("--set", help="key.sub=value over the recipe.")] = None,
    jobs: JobsOption = 0,
) -> None:
    """Train a recipe."""
    with _lab():
        from unmask.lab.manifest import read_manifests
        from unmask.lab.recipe import load_recipe
        from unmask.lab.train import train as run_training
    run = run_training(
        load_recipe(recipe, override or ()),
        read_manifests(data),
        out,
        jobs=jobs or os.cpu_count() or 1,
        data_names=[path.name for path in data],
        say=_print,
    )
    _print(f"trained: {run}; next: unmask export {run} --data … --out FILE.onnx")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run folder of `unmask train`.")],
    out: Annotated[Path, typer.Option(help="The bundle to write (.onnx).")],
    data: Annotated[
        list[Path], typer.Option(help="Manifests: the validation split chooses calibration and thresholds.")
    ],
    test: Annotated[list[Path] | None, typer.Option(help="Manifests measured for the card.")] = None,
    int8: Annotated[bool, typer.Option(help="Quantise to 8 bits, calibrated on validation faces.")] = False,
) -> None:
    """Turn a trained run into a bundle: calibrated, with thresholds, canaries and a card."""
    with _lab():
        from unmask.lab.export import export_run
    export_run(run, out, data, test or [], int8=int8)
    _print(f"written: {out} ({out.stat().st_size / 1e6:.1f} MB)")


@app.command()
def doctor() -> None:
    """Say what is installed, which optional parts are missing, and how to get them."""
    from unmask.doctor import examine

    findings = examine()
    for finding in findings:
        mark = "ok " if finding.ok else "-  " if finding.optional else "BAD"
        _print(f"{mark}  {finding.what:24} {finding.detail}")
    raise typer.Exit(DONE if all(finding.ok or finding.optional for finding in findings) else FAILED)


@models.command("list")
def list_models() -> None:
    """The bundles that come with unmask."""
    from unmask.bundle import read_seal, shipped_bundles

    for name, path in shipped_bundles().items():
        card = read_seal(path.read_bytes())
        _print(f"{name:16} {card['name']} {card['version']}  {path.stat().st_size / 1e6:.1f} MB  {card['licence']}")


@models.command("show")
def show_model(
    model: ModelArgument = "default", as_json: Annotated[bool, typer.Option("--json", help="The card as JSON.")] = False
) -> None:
    """The card of a bundle."""
    from unmask.bundle.session import find_bundle, load_bundle

    card = load_bundle(str(find_bundle(model))).card.text
    if as_json:
        _print(json.dumps(card, indent=2, ensure_ascii=False))
        return
    from unmask.table import card_lines

    for line in card_lines(card):
        _print(line)


@models.command("check")
def check_model(model: ModelArgument = "default") -> None:
    """Check a bundle: digests, card, graph and canaries."""
    from unmask.bundle import load_bundle

    bundle = load_bundle(model)
    canaries = len(bundle.card.canaries.logits)
    _print(f"{bundle.id.name} {bundle.id.version}: digests, card, graph and {canaries} canaries are right")


@recipes.command("list")
def list_recipes() -> None:
    """The recipes that come with unmask."""
    with _lab():
        from unmask.lab.recipe import shipped_recipes
    for name in shipped_recipes():
        _print(name)


@recipes.command("show")
def show_recipe(name: str) -> None:
    """The text of a recipe."""
    _print(_shipped_recipe(name).read_text().rstrip())


@recipes.command("copy")
def copy_recipe(name: str, to: Path) -> None:
    """Copy a recipe, to be changed."""
    text = _shipped_recipe(name).read_text()
    try:
        with to.open("x") as file:
            file.write(text)
    except OSError as error:
        raise OutputError(f"cannot write {to}: {error.strerror}") from error
    _print(f"written: {to}")


@recipes.command("check")
def check_recipe(recipe: str, override: Annotated[list[str] | None, typer.Option("--set")] = None) -> None:
    """Check a recipe; all faults are listed."""
    with _lab():
        from unmask.lab.recipe import load_recipe
    _print(f"{load_recipe(recipe, override or ()).name}: no faults")


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
        _complain(str(error))
    except BrokenPipeError:
        pass  # the reader of our output has gone: nobody to tell
    except OSError as error:
        _complain(f"cannot write the output: {error.strerror or error}")
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        error.show()  # type: ignore[attr-defined]  # typer's usage errors
        code = USAGE
    if code == INTERRUPTED:  # typer, too, turns Ctrl-C into this code
        _complain("stopped")
    _leave(code)


def _leave(code: int) -> None:
    """Exit without waiting for threads that are still at a file, and without a second fault from a broken stdout."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError) and code != FAILED:
            _complain(f"cannot write the output: {error.strerror or error}")
        code = FAILED
    sys.stderr.flush()
    os._exit(code)


def _complain(message: str) -> None:
    print(f"unmask: {message}", file=sys.stderr)


def _print(text: str) -> None:
    print(text)


def _print_table(table: Table) -> None:
    from rich.console import Console

    width = None if sys.stdout.isatty() else 110
    Console(file=sys.stdout, width=width, highlight=False).print(table)


def _expand(paths: list[Path]) -> tuple[list[Path], list[Failure]]:
    """The files to judge, and the folders with nothing in them."""
    from unmask.media import find_media
    from unmask.types import Failure

    files: list[Path] = []
    failures: list[Failure] = []
    for path in paths:
        try:
            files.extend(find_media(path))
        except NothingToJudgeError as error:
            failures.append(Failure(os.fspath(path), error.kind, str(error)))
    return files, failures


def _show(result: Report | Failure, as_json: bool) -> None:
    from unmask.report import to_json
    from unmask.types import Failure

    if as_json:
        line = json.dumps(to_json(result), ensure_ascii=False, allow_nan=False) + "\n"
        with _uninterrupted():
            sys.stdout.write(line)
            sys.stdout.flush()
    elif isinstance(result, Failure):
        _complain(f"{to_json(result)['media']['path']}: {result.message}")
    else:
        from unmask.table import report_table

        _print_table(report_table(result))


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the block is done, so that what is printed stays whole lines."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def _report_folder(folder: Path | None) -> Path | None:
    """The folder, made and tried for writing before any work is done."""
    if folder is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".unmask"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"cannot write into {folder}: {error.strerror or error}") from error
    return folder


def _write_report(result: Report | Failure, folder: Path) -> None:
    from unmask.report import to_json
    from unmask.types import Failure

    if isinstance(result, Failure):
        return
    path = folder / f"{Path(result.media.path).name}-{result.media.sha256[:8]}.json"
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_text(json.dumps(to_json(result), indent=2, ensure_ascii=False, allow_nan=False))
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def _progress(total: int, *, quiet: bool = False) -> Iterator[Any]:
    """A bar on stderr where that is a terminal; yields what moves it on by one. quiet: no bar."""
    if total < 2 or quiet or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # results go where they were sent, not to the bar's terminal
        redirect_stderr=False,
    )
    with bar as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)


@contextmanager
def _lab() -> Iterator[None]:
    """Turns a missing package of the lab into the advice to install it."""
    from unmask.errors import MissingExtraError

    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("unmask"):
            raise
        raise MissingExtraError(f"the lab ({error.name} is missing)", "train") from error


def _shipped_recipe(name: str) -> Path:
    with _lab():
        from unmask.lab.recipe import find_recipe
    return find_recipe(name)
