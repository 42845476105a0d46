"""`unmask scan` and `unmask demo`: judge files."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.archiving import Asked, OrderChoice
from unmask.cli.archiving import run as run_archive
from unmask.cli.output import (
    DONE,
    SOME_UNJUDGED,
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

FOR_MANY = (
    "again", "include", "exclude", "newer_than", "order", "dry_run", "budget", "first_frames", "first_model", "address",
    "max_time",
)  # fmt: skip


class ScanEngine(StrEnum):
    """The choices of `scan --engine`."""

    onnxruntime = "onnxruntime"
    openvino = "openvino"
    ray = "ray"


def scan(
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Pictures, videos, or folders of them; with --ledger also URLs and archives.", show_default=False
        ),
    ],
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
    engine: Annotated[
        list[ScanEngine] | None,
        typer.Option(
            help="What runs the bundle: onnxruntime or openvino; ray: work on a cluster.", show_default="onnxruntime"
        ),
    ] = None,
    max_pixels: Annotated[int, typer.Option(min=1, help="Larger pictures are refused.")] = 100_000_000,
    ledger: Annotated[
        Path | None,
        typer.Option(
            help="Many files: what was judged is written into this file, and not judged again. The options below are"
            " for such scans (docs/archive.md).",
            show_default=False,
        ),
    ] = None,
    again: Annotated[
        str,
        typer.Option(
            help="Which files of earlier runs are judged again: changed, passing (errors that may have gone), model"
            " (judged by another bundle or settings), failed, all, none."
        ),
    ] = "changed,passing,model",
    include: Annotated[list[str] | None, typer.Option(help="Only files like *.mp4 or 2026/*.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="No files like these.")] = None,
    newer_than: Annotated[
        str | None,
        typer.Option(help="Only files changed since: 2026-11-01, or 7d, 12h.", show_default=False),
    ] = None,
    order: Annotated[OrderChoice, typer.Option(help="Which files come first.")] = OrderChoice.listed,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count, and estimate the time.")] = False,
    budget: Annotated[
        float | None,
        typer.Option(
            help="Share of the files, 0–1, that get the full look; a cheap first one chooses them.", show_default=False
        ),
    ] = None,
    first_frames: Annotated[int, typer.Option(min=1, help="Frames of the first look.")] = 4,
    first_model: Annotated[
        str | None,
        typer.Option(help="Bundle of the first look, if another.", show_default=False),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="With --engine ray: the cluster, HOST:PORT or auto; without it one is started here.",
            show_default=False,
        ),
    ] = None,
    max_time: Annotated[float, typer.Option(min=1, help="Seconds that judging one file may take.")] = 1800.0,
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
    runner, ray = _engines(engine or [])
    if ledger is not None:
        run_archive(
            Asked(
                roots=paths, ledger=ledger, model=model, faces=faces, frames=frames, engine=runner, explain=explain,
                stability=stability, max_pixels=max_pixels, jobs=jobs, as_json=as_json, report=report, sign=sign,
                prevalence=prevalence, again=again, include=include or (), exclude=exclude or (),
                newer_than=newer_than, order=order.value, dry_run=dry_run, ray=ray, address=address, budget=budget,
                first_frames=first_frames, first_model=first_model, max_time=max_time,
            )
        )  # fmt: skip
    _require_ledger(context)
    write = _reporter(report, sign, prevalence)
    files, failures = _expand([Path(path) for path in paths])
    jobs = jobs or min(len(files), os.cpu_count() or 1) or 1
    threads = 1 if jobs > 1 else 0  # side by side, files keep the cores busy better than the threads of one score do
    detector = load_detector(model, faces=faces, engine=runner, threads=threads, max_pixels=max_pixels)
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


def _engines(named: list[ScanEngine]) -> tuple[str, bool]:
    """What runs the bundle, and whether the work is done on a cluster."""
    runners = [engine.value for engine in named if engine is not ScanEngine.ray]
    if len(runners) > 1:
        raise typer.BadParameter("--engine takes one of onnxruntime and openvino, and ray beside it")
    return (runners or ["onnxruntime"])[0], ScanEngine.ray in named


def _require_ledger(context: typer.Context) -> None:
    """Options for many files do nothing without a ledger: better said than overlooked."""
    asked = context.params
    given = [
        f"--{name.replace('_', '-')}"
        for name in FOR_MANY
        if (source := context.get_parameter_source(name)) is not None and source.name != "DEFAULT"
    ]
    given += ["--engine ray"] if ScanEngine.ray in (asked.get("engine") or []) else []
    given += [path for path in asked["paths"] if "://" in path]
    if given:
        raise typer.BadParameter(f"{', '.join(given)}: only with --ledger FILE")


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
