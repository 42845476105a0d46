"""`unmask scan --ledger`: many files, in runs that resume where the last one stopped."""

from __future__ import annotations

import datetime
import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from unmask._internal.cores import cores
from unmask.cli.output import DONE, INTERRUPTED, SOME_UNJUDGED, complain, say, tell

if TYPE_CHECKING:
    from unmask.archive import Executor, Outcome, Run, ScanJob, ScanPass, ScanPlan, Task

LINE_S = 60.0
"""Where there is no terminal, how often a line tells how far it has come."""


class OrderChoice(StrEnum):
    """The choices of --order."""

    listed = "listed"
    largest = "largest"
    newest = "newest"


@dataclass(frozen=True)
class Asked:
    """What `unmask scan --ledger` was asked for."""

    roots: Sequence[str]
    ledger: Path
    model: str
    faces: str
    frames: int | None
    engine: str
    device: str
    explain: bool
    stability: bool
    max_pixels: int
    jobs: int
    as_json: bool
    report: Path | None
    sign: Path | None
    prevalence: float | None
    language: str
    again: str
    include: Sequence[str]
    exclude: Sequence[str]
    newer_than: str | None
    order: str
    dry_run: bool
    ray: bool
    address: str | None
    budget: float | None
    first_frames: int
    first_model: str | None
    max_time: float


def run(asked: Asked) -> None:
    """Do it.

    Ends with the exit code.
    """
    from unmask.archive import Run

    plan, passes = _plan(asked)
    if asked.dry_run:
        _rehearse(asked, plan)
        raise typer.Exit(DONE)
    with ExitStack() as stack:
        run = stack.enter_context(Run(asked.ledger, plan))
        executor = _executor(asked, passes)
        stack.enter_context(_graceful(run))
        failed = _work(asked, run, executor)
        counts = run.counts()
        if not asked.as_json:
            _conclude(asked, run, counts)
        if run.coordinator.stopping:
            raise typer.Exit(INTERRUPTED)
    unjudged = counts.get("failed", 0) + counts.get("postponed", 0) + failed
    raise typer.Exit(SOME_UNJUDGED if unjudged else DONE)


def _plan(asked: Asked) -> tuple[ScanPlan, dict[str, ScanPass]]:
    from unmask.archive import Cause, FileFilter, Order, ScanPlan, make_pass, open_source

    if asked.budget is not None and not 0 < asked.budget <= 1:
        raise typer.BadParameter("--budget is a share of the files, above 0 and up to 1, like 0.2")
    chosen = {word.strip() for word in asked.again.split(",") if word.strip()}
    if "temporary" in chosen:
        # ledgers and older scripts say "passing"
        chosen = (chosen - {"temporary"}) | {Cause.TRANSIENT}
    known = {Cause.CHANGED, Cause.TRANSIENT, Cause.MODEL, Cause.FAILED, Cause.ALL}
    if unknown := chosen - {*known, "none"}:
        raise typer.BadParameter(
            f"--again takes {', '.join(sorted(known))} or none, separated by commas, not"
            f" {', '.join(sorted(unknown))}"
        )
    passes = {}
    if asked.budget is not None:
        passes["first"] = make_pass(
            asked.first_model or asked.model,
            asked.faces,
            frames=asked.first_frames,
            engine=asked.engine,
            explain=False,
            stability=False,
        )
    passes["full"] = make_pass(
        asked.model,
        asked.faces,
        frames=asked.frames,
        engine=asked.engine,
        explain=asked.explain or asked.report is not None,
        stability=asked.stability,
    )
    reports = None
    if asked.report is not None and not asked.dry_run:
        from unmask._internal.atomic import output_folder

        reports = output_folder(asked.report)
    plan = ScanPlan(
        [open_source(root) for root in asked.roots],
        passes,
        FileFilter(
            asked.include,
            asked.exclude,
            None if asked.newer_than is None else _moment(asked.newer_than),
        ),
        frozenset(Cause(word) for word in chosen if word != "none"),
        Order(asked.order),
        asked.budget,
        reports,
    )
    return plan, passes


def _job(asked: Asked, passes: dict[str, ScanPass]) -> ScanJob:
    from unmask.archive import ScanJob, spool_of

    return ScanJob(
        passes,
        max_pixels=asked.max_pixels,
        spool=spool_of(asked.ledger),
        documents=asked.report is not None,
        prevalence=asked.prevalence,
        language=asked.language,
        device=asked.device,
        signing_key=asked.sign,
        time_s=asked.max_time,
    )


def _executor(asked: Asked, passes: dict[str, ScanPass]) -> Executor:
    from unmask.archive import ProcessExecutor

    job = _job(asked, passes)
    if not asked.ray:
        return ProcessExecutor(job, cores(asked.jobs))
    from unmask.archive.executors.ray_cluster import RayExecutor

    return RayExecutor(job, asked.address, asked.jobs)


def _work(asked: Asked, run: Run, executor: Executor) -> int:
    """Go through the outcomes; how many places could not be listed."""
    shown = 0
    with _progress(run) as advance:
        for task, outcome, files in run.outcomes(executor):
            advance(files)
            _show(asked, task, outcome)
            shown = _show_unlisted(asked, run, shown)
    return _show_unlisted(asked, run, shown)


def _show(asked: Asked, task: Task, outcome: Outcome) -> None:
    from unmask.cli.tables import printable
    from unmask.report import to_json
    from unmask.types import Failure

    if outcome.error_kind is None:
        tree: Any = outcome.report
    else:
        failure = Failure(task.path, outcome.error_kind, outcome.error_message or "")
        tree = to_json(failure)
        if not asked.as_json:
            complain(f"{printable(task.path)}: {failure.message}")
    if asked.as_json:
        say(json.dumps(tree, ensure_ascii=False, allow_nan=False))


def _show_unlisted(asked: Asked, run: Run, told: int) -> int:
    from unmask.cli.tables import printable
    from unmask.report import to_json

    for failure in run.coordinator.unlisted[told:]:
        if asked.as_json:
            tell(json.dumps(to_json(failure), ensure_ascii=False))
        else:
            complain(f"{printable(failure.path)}: {failure.message}")
    return len(run.coordinator.unlisted)


def _conclude(asked: Asked, run: Run, counts: dict[str, int]) -> None:
    total = sum(counts.values())
    coordinator = run.coordinator
    summary = f"{total:,} files: " + (
        ", ".join(f"{n:,} {state}" for state, n in sorted(counts.items())) or "none"
    )
    tell(
        f"{summary}; {coordinator.judged:,} checked now, {coordinator.known:,} already known (same"
        " content)"
    )
    if words := run.passed_over.words():
        tell(words)
    if coordinator.promoted is not None:
        more, looked = coordinator.promoted
        tell(
            f"first pass over {looked:,} files; {more:,} of them judged in full (--budget"
            f" {asked.budget:g})"
        )
    if counts.get("failed") or counts.get("postponed"):
        tell(
            f"files that could not be judged: unmask ledger list {asked.ledger} --state failed (or"
            " --state postponed)"
        )
    tell(f"see the results: unmask ledger summary {asked.ledger}")


def _rehearse(asked: Asked, plan: ScanPlan) -> None:
    from unmask.archive import estimate_run
    from unmask.cli.tables import printable

    estimate = estimate_run(asked.ledger, plan, _job(asked, dict(plan.passes)))
    tell(f"{estimate.listed:,} pictures and videos found")
    for failure in estimate.unlisted:
        complain(f"{printable(failure.path)}: {failure.message}")
    for name, kind in estimate.kinds.items():
        how = f"measured on {kind.measured_on} " + (
            "of them just now" if kind.sampled else "judged earlier"
        )
        size = f"{kind.bytes / 1e9:,.2f} GB"
        tell(
            f"to be judged: {kind.files:,} of kind {name}, {size}; {kind.seconds:.3f} s of work"
            f" each, {how}"
        )
    jobs = cores(asked.jobs)
    tell(
        f"about {_span(estimate.core_s / jobs)} (h:mm:ss) with {jobs} processes, if each has a core"
        " of its own"
    )


@contextmanager
def _graceful(run: Run) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM lets files in progress finish; the second one does not."""

    def stop(*_: object) -> None:
        if run.coordinator.stopping:
            raise KeyboardInterrupt
        run.coordinator.stopping = True
        complain(
            "stopping after the files in progress (Ctrl-C again: at once); the same command resumes"
        )

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress(run: Run) -> Iterator[Callable[[int], None]]:
    """A bar with rate and time left on a terminal; elsewhere a line now and then."""
    if not sys.stderr.isatty():
        yield _Lines(run)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    bar = Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=True,
    )
    with bar:
        number = bar.add_task("", total=None, rate="")
        started = time.monotonic()

        def advance(files: int) -> None:
            coordinator = run.coordinator
            rate = coordinator.judged / max(time.monotonic() - started, 1e-9)
            bar.update(
                number,
                completed=coordinator.settled,
                total=coordinator.due if coordinator.complete else None,
                rate=f"{rate:.1f}/s"
                + ("" if coordinator.complete else f", {coordinator.listed:,} listed so far"),
            )

        yield advance


class _Lines:
    """Progress as lines on stderr."""

    def __init__(self, run: Run) -> None:
        self._run, self._started, self._last = run, time.monotonic(), time.monotonic()

    def __call__(self, files: int) -> None:
        now, coordinator = time.monotonic(), self._run.coordinator
        if now - self._last < LINE_S:
            return
        self._last = now
        rate = coordinator.settled / (now - self._started)
        left = (
            f", about {_span((coordinator.due - coordinator.settled) / rate)} left"
            if coordinator.complete and rate
            else ""
        )
        of = (
            f" of {coordinator.due:,}"
            if coordinator.complete
            else f" ({coordinator.listed:,} listed so far)"
        )
        complain(f"{coordinator.settled:,}{of} files, {rate:.1f} a second{left}")


def _span(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(max(seconds, 0))))


def _moment(text: str) -> float:
    """A date (2026-11-01, 2026-11-01T12:00) or an age (7d, 12h, 30m) as seconds since 1970."""
    if age := re.fullmatch(r"(\d+)([dhm])", text):
        return time.time() - int(age[1]) * {"d": 86400, "h": 3600, "m": 60}[age[2]]
    try:
        return datetime.datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError as error:
        raise typer.BadParameter(
            f"--newer-than takes a date like 2026-11-01 or an age like 7d, not {text!r}"
        ) from error
