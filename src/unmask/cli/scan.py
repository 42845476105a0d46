"""`unmask scan` and `unmask demo`: judge files."""

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask._internal.cores import cores
from unmask.cli.archive import Asked, OrderChoice
from unmask.cli.archive import run as run_archive
from unmask.cli.output import (
    BestModelOption,
    Device,
    DeviceOption,
    FacesOption,
    FramesOption,
    JobsOption,
    Language,
    LanguageOption,
    TrustOption,
    complain,
    complain_of_other_version,
    scan_bar,
    show,
    tell,
)
from unmask.cli.telling import Teller, case_log, reporter
from unmask.errors import NothingToJudgeError

if TYPE_CHECKING:
    from unmask.types import Failure


FOR_MANY = (
    "again",
    "include",
    "exclude",
    "newer_than",
    "order",
    "dry_run",
    "budget",
    "first_frames",
    "first_model",
    "executor",
    "address",
    "max_time",
)


class Executor(StrEnum):
    """The choices of `scan --executor`."""

    local = "local"
    ray = "ray"


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
            help=(
                "Pictures, videos, folders of them, or links to files (https://…); with"
                " --ledger also buckets and archives."
            ),
            show_default=False,
        ),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per file on stdout (JSON Lines).")
    ] = False,
    model: BestModelOption = None,
    fast: Annotated[
        bool,
        typer.Option("--fast", help="Use the small model, default, even where accurate was made."),
    ] = False,
    frames: FramesOption = None,
    explain: Annotated[
        bool,
        typer.Option(
            help="Make heat maps of the faces, and test those of the most suspicious ones."
        ),
    ] = False,
    stability: Annotated[
        bool,
        typer.Option(
            help=(
                "Re-check with recompressed, resized and re-cropped faces; if that changes the"
                " result, report it as inconclusive."
            )
        ),
    ] = True,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Folder for a report on each file: an HTML page, a PDF and JSON.",
            show_default=False,
        ),
    ] = None,
    sign: Annotated[
        Path | None,
        typer.Option(
            help="Private key (Ed25519, PEM) to sign the JSON reports with.", show_default=False
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(
            help=(
                "Certificates (PEM, yours first, with its private key unless that is --sign's) by"
                " which the PDF gets Content Credentials."
            ),
            show_default=False,
        ),
    ] = None,
    timestamp: Annotated[
        str | None,
        typer.Option(
            help="With --sign: have the time confirmed by this authority (RFC 3161; https://…).",
            show_default=False,
        ),
    ] = None,
    case: Annotated[
        Path | None,
        typer.Option(
            help=(
                "With --sign: folder of a case, with the reports and a signed log that nobody can"
                " change unnoticed."
            ),
            show_default=False,
        ),
    ] = None,
    who: Annotated[
        str, typer.Option(help="With --case: who scans.", show_default="this machine's user")
    ] = "",
    case_name: Annotated[
        str, typer.Option(help="Name of your case, for the reports.", show_default=False)
    ] = "",
    notes: Annotated[
        str, typer.Option(help="Your own words, for the reports.", show_default=False)
    ] = "",
    faces: FacesOption = "yunet",
    prevalence: Annotated[
        float | None,
        typer.Option(
            help=(
                "Prior share of fakes in your material (0–1); also prints the adjusted probability."
            ),
            show_default=False,
        ),
    ] = None,
    trust: TrustOption = None,
    language: LanguageOption = Language.en,
    jobs: JobsOption = 0,
    engine: Annotated[
        list[ScanEngine] | None,
        typer.Option(
            help="Runs the model: onnxruntime or openvino. (ray: the same as --executor ray.)",
            show_default="onnxruntime",
        ),
    ] = None,
    device: DeviceOption = Device.cpu,
    executor: Annotated[
        Executor | None,
        typer.Option(
            help="With --ledger: who does the work, processes of this machine or a Ray cluster.",
            show_default="local",
        ),
    ] = None,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Refuse pictures and frames with more pixels.")
    ] = 100_000_000,
    ledger: Annotated[
        Path | None,
        typer.Option(
            help=(
                "For many files: record verdicts in this file, and judge no content twice. The"
                " options below need it (docs/archive.md)."
            ),
            show_default=False,
        ),
    ] = None,
    again: Annotated[
        str,
        typer.Option(
            help=(
                "Which known files to judge again: changed, temporary (errors that may be gone),"
                " model (judged with another bundle or other settings), failed, all, none."
            )
        ),
    ] = "changed,temporary,model",
    include: Annotated[
        list[str] | None, typer.Option(help="Only files that match, like *.mp4 or 2026/*.")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Skip files that match.")] = None,
    newer_than: Annotated[
        str | None,
        typer.Option(
            help="Only files changed since then: 2026-11-01, or 7d, 12h.", show_default=False
        ),
    ] = None,
    order: Annotated[
        OrderChoice, typer.Option(help="Which files to judge first.")
    ] = OrderChoice.listed,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count the files and estimate the time.")
    ] = False,
    budget: Annotated[
        float | None,
        typer.Option(
            help=(
                "Share of the files (0–1) that are judged in full; a quick first pass chooses them."
            ),
            show_default=False,
        ),
    ] = None,
    first_frames: Annotated[
        int, typer.Option(min=1, help="Frames per video in the first pass.")
    ] = 4,
    first_model: Annotated[
        str | None,
        typer.Option(
            help="Model bundle of the first pass, if it is another one.", show_default=False
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            help=(
                "With --executor ray: the cluster, HOST:PORT or auto; without it, one is started"
                " on this machine."
            ),
            show_default=False,
        ),
    ] = None,
    max_time: Annotated[
        float, typer.Option(min=1, help="Give up on a file after this many seconds.")
    ] = 1800.0,
) -> None:
    """Tell whether faces in pictures and videos were faked.

    Exit code 0: all files judged, whatever the verdict; 1: failed; 2: wrong usage; 3: done, but
    some files could not be judged because of a problem with the file.
    """
    from unmask.bundle.registry import DEFAULT, best_bundle
    from unmask.detector import load_detector

    _require_what_fits(context)
    if trust is not None:
        from unmask.provenance.trust import use_trust

        use_trust(trust)
    runner, ray = _engine_and_cluster(engine or [], executor)
    if ledger is not None:
        run_archive(
            Asked(
                roots=paths,
                ledger=ledger,
                model=model or DEFAULT,  # for many files, the model that is quick
                faces=faces,
                frames=frames,
                engine=runner,
                device=device.value,
                explain=explain,
                stability=stability,
                max_pixels=max_pixels,
                jobs=jobs,
                as_json=as_json,
                report=report,
                sign=sign,
                prevalence=prevalence,
                language=language.value,
                again=again,
                include=include or (),
                exclude=exclude or (),
                newer_than=newer_than,
                order=order.value,
                dry_run=dry_run,
                ray=ray,
                address=address,
                budget=budget,
                first_frames=first_frames,
                first_model=first_model,
                max_time=max_time,
            )
        )
    _require_ledger(context)
    log = case_log(case, sign, who, timestamp) if case is not None else None
    folder = log.reports if log is not None else report
    write = reporter(
        folder, sign, prevalence, language.value, case_name, notes, timestamp, certificate
    )
    files, failures = _expand(paths)
    jobs = jobs or min(len(files), cores(None)) or 1
    # side by side, files keep the cores busy better than the threads of one score do
    threads = 1 if jobs > 1 else 0
    detector = load_detector(
        model or (DEFAULT if fast else best_bundle()),
        faces=faces,
        engine=runner,
        device=device.value,
        threads=threads,
        max_pixels=max_pixels,
    )
    complain_of_other_version(detector.bundle.id)
    teller = Teller(detector.bundle, as_json, prevalence, language.value, write, log)
    for failure in failures:
        teller.tell(failure)
    explain = explain or folder is not None
    with scan_bar(len(files)) as bar:
        results = detector.scan_many(
            files, frames=frames, explain=explain, stability=stability, jobs=jobs, on_progress=bar
        )
        for result in results:
            if bar is not None:
                bar.advance()
            with bar.aside() if bar is not None else nullcontext():
                teller.tell(result)
    raise typer.Exit(teller.end())


def _require_what_fits(context: typer.Context) -> None:
    """Options that need others, or contradict them."""
    given = context.params
    if given["fast"] and given["model"] is not None:
        raise typer.BadParameter("--fast is the model default: give either --fast or --model")
    prevalence, sign, ledger = given["prevalence"], given["sign"], given["ledger"]
    somewhere = given["report"] is not None or given["case"] is not None
    if prevalence is not None and not 0 < prevalence < 1:
        raise typer.BadParameter("--prevalence is a share between 0 and 1, like 0.01")
    if given["case"] is not None and (sign is None or given["report"] is not None or ledger):
        raise typer.BadParameter("--case needs --sign KEY, and neither --report nor --ledger")
    if sign is not None and not somewhere:
        raise typer.BadParameter("--sign signs reports: it needs --report DIR or --case DIR")
    if given["certificate"] is not None and (not somewhere or ledger):
        raise typer.BadParameter("--certificate is for the PDF of --report DIR or --case DIR")
    if given["timestamp"] is not None and (sign is None or ledger):
        raise typer.BadParameter("--timestamp is of signed reports: it needs --sign, not --ledger")
    if (given["case_name"] or given["notes"]) and (not somewhere or ledger is not None):
        raise typer.BadParameter("--case-name and --notes go into the files of --report DIR")


def _engine_and_cluster(named: list[ScanEngine], executor: Executor | None) -> tuple[str, bool]:
    """What runs the model, and whether the work is done on a Ray cluster."""
    runners = [engine.value for engine in named if engine is not ScanEngine.ray]
    if len(runners) > 1:
        raise typer.BadParameter("--engine takes either onnxruntime or openvino")
    # --engine ray is the older way to say --executor ray
    on_cluster = executor is Executor.ray or ScanEngine.ray in named
    if executor is Executor.local and on_cluster:
        raise typer.BadParameter("--executor local and --engine ray contradict each other")
    return (runners or ["onnxruntime"])[0], on_cluster


def _require_ledger(context: typer.Context) -> None:
    """Options for many files do nothing without a ledger: say so rather than ignore them."""
    from unmask.media.links import is_link

    values = context.params
    given = [
        f"--{name.replace('_', '-')}"
        for name in FOR_MANY
        if (source := context.get_parameter_source(name)) is not None and source.name != "DEFAULT"
    ]
    given += ["--engine ray"] if ScanEngine.ray in (values.get("engine") or []) else []
    given += [path for path in values["paths"] if "://" in path and not is_link(path)]
    if given:
        raise typer.BadParameter(f"{', '.join(given)}: only possible with --ledger FILE")


def demo(language: LanguageOption = Language.en) -> None:
    """Scan the sample pictures and clip that come with unmask, and say what each really is."""
    from unmask.bundle.registry import best_bundle
    from unmask.demo import demo_media
    from unmask.detector import load_detector
    from unmask.report.language import speaking

    samples = demo_media()
    detector = load_detector(best_bundle())
    results = detector.scan_many([sample.path for sample in samples])
    for sample, result in zip(samples, results, strict=True):
        with speaking(language.value):
            show(result, as_json=False, card=detector.bundle.card)
        tell(f"  truth: {sample.truth}. {sample.origin}\n")


def _expand(paths: list[str]) -> tuple[list[str | Path], list[Failure]]:
    """The files and links to judge, and the folders that hold none."""
    from unmask.media import PassedOver, find_media
    from unmask.media.links import is_link
    from unmask.types import Failure

    passed_over = PassedOver()
    files: list[str | Path] = []
    failures: list[Failure] = []
    for path in paths:
        if is_link(path):
            files.append(path)
            continue
        try:
            files.extend(find_media(Path(path), passed_over))
        except NothingToJudgeError as error:
            failures.append(Failure(path, error.kind, str(error)))
    if files and (words := passed_over.words()):
        complain(words)
    return files, failures
