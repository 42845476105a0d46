"""`unmask scan` and `unmask demo`: judge files."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.output import (
    DONE,
    SOME_UNJUDGED,
    Engine,
    FacesOption,
    FramesOption,
    JobsOption,
    ModelOption,
    progress,
    show,
    tell,
)
from unmask.errors import NothingToJudgeError

if TYPE_CHECKING:
    from unmask.bundle.card import Card
    from unmask.types import Failure, Report


def scan(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, videos, or folders of them.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a file on stdout (JSON Lines).")] = False,
    model: ModelOption = "default",
    frames: FramesOption = 32,
    explain: Annotated[
        bool, typer.Option(help="Keep a heat map of each face, and grade those of the strongest.")
    ] = False,
    stability: Annotated[
        bool, typer.Option(help="Judge again after mild changes; a verdict that flips is none.")
    ] = True,
    report: Annotated[
        Path | None,
        typer.Option(help="Folder for a report of each file: an HTML page, a PDF, JSON.", show_default=False),
    ] = None,
    sign: Annotated[
        Path | None, typer.Option(help="Ed25519 key (PEM) that signs the JSON reports.", show_default=False)
    ] = None,
    faces: FacesOption = "yunet",
    prevalence: Annotated[
        float | None,
        typer.Option(help="Your share of fakes, 0–1: also tell the probability there.", show_default=False),
    ] = None,
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

    if prevalence is not None and not 0 < prevalence < 1:
        raise typer.BadParameter("--prevalence is a share between 0 and 1, like 0.01")
    if sign is not None and report is None:
        raise typer.BadParameter("--sign signs reports: it needs --report DIR")
    write = _reporter(report, sign, prevalence)
    files, failures = _expand(paths)
    jobs = jobs or min(len(files), os.cpu_count() or 1) or 1
    threads = 1 if jobs > 1 else 0  # side by side, files keep the cores busy better than the threads of one score do
    detector = load_detector(model, faces=faces, engine=engine.value, threads=threads, max_pixels=max_pixels)
    counts: Counter[str] = Counter()
    for failure in failures:
        counts["failed"] += 1
        show(failure, as_json)
    explain = explain or report is not None
    results = detector.scan_many(files, frames=frames, explain=explain, stability=stability, jobs=jobs)
    # on a terminal that shows each result as it comes, the results are the progress
    with progress(len(files), quiet=sys.stdout.isatty()) as advance:
        for result in results:
            advance()
            counts["failed" if isinstance(result, Failure) else result.verdict.label] += 1
            show(result, as_json, prevalence)
            if write is not None and not isinstance(result, Failure):
                write(result, detector.bundle.card)
    if not as_json and sum(counts.values()) > 1:
        tell(f"{sum(counts.values())} files: " + ", ".join(f"{n} {label}" for label, n in sorted(counts.items())))
    raise typer.Exit(SOME_UNJUDGED if counts["failed"] else DONE)


def demo() -> None:
    """Judge the pictures and the clip that come with unmask; each is shown with its origin."""
    from unmask.demo import demo_media
    from unmask.detector import load_detector

    exhibits = demo_media()
    results = load_detector().scan_many([exhibit.path for exhibit in exhibits])
    for exhibit, result in zip(exhibits, results, strict=True):
        show(result, as_json=False)
        tell(f"  truth: {exhibit.truth}. {exhibit.origin}\n")


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


def _reporter(
    folder: Path | None, sign: Path | None, prevalence: float | None
) -> Callable[[Report, Card], object] | None:
    """What writes the report of a file; the folder and the key are tried before any work is done."""
    if folder is None:
        return None
    from unmask.report.sign import read_key
    from unmask.report.write import prepare_folder, write_report

    key = read_key(sign) if sign is not None else None
    return partial(write_report, folder=prepare_folder(folder), prevalence=prevalence, key=key)
