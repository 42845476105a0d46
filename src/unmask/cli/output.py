"""How the command line speaks: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from unmask.bundle.card import Card
    from unmask.detector.progress import Progress as ScanProgress
    from unmask.types import Failure, ModelId, Report

EVERY_S = 30.0
"""Between lines that say how far work has come, where there is no bar."""

DONE, FAILED, USAGE, SOME_UNJUDGED, INTERRUPTED = 0, 1, 2, 3, 130

_MODELS = "Model bundle: default, accurate (once it was made), or a file."
ModelOption = Annotated[str, typer.Option(help=_MODELS)]
BestModelOption = Annotated[
    str | None,
    typer.Option(
        help=_MODELS,
        show_default="accurate where it was made, else default",
    ),
]
TrustOption = Annotated[
    Path | None,
    typer.Option(
        help=(
            "Certificates of trusted signers of Content Credentials: a PEM file, or a folder of"
            " them."
        ),
        envvar="UNMASK_TRUST",
        show_default=False,
    ),
]
ModelArgument = Annotated[str, typer.Argument(help="Model bundle: default, accurate, or a file.")]
FacesOption = Annotated[
    str, typer.Option(help="Face finder: yunet, mtcnn, dlib, yunet=FILE, or an installed one.")
]
JobsOption = Annotated[
    int, typer.Option(min=0, help="Files processed at the same time; 0: one per core.")
]
ClipsOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="Manifests of videos whose validation split chooses the thresholds for clips.",
        show_default=False,
    ),
]
FramesOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Frames to check per video, evenly spaced in time.",
        show_default="32, more in long videos",
    ),
]


class Truth(StrEnum):
    """What a face or a file really is."""

    real = "real"
    fake = "fake"


class Device(StrEnum):
    """The choices of --device."""

    cpu = "cpu"
    cuda = "cuda"
    auto = "auto"


DeviceOption = Annotated[
    Device, typer.Option(help="Where the model runs; auto: on a CUDA GPU where there is one.")
]


class Language(StrEnum):
    """The choices of --language."""

    en = "en"
    de = "de"
    es = "es"


LanguageOption = Annotated[
    Language,
    typer.Option(
        help="Language of verdicts and reports; JSON stays English.", envvar="UNMASK_LANGUAGE"
    ),
]


class Engine(StrEnum):
    """The choices of --engine."""

    onnxruntime = "onnxruntime"
    openvino = "openvino"


def complain(message: str) -> None:
    print(f"unmask: {message}", file=sys.stderr)


def complain_of_other_version(bundle: ModelId) -> None:
    """Say so where `accurate` was put together by another version of unmask than this one."""
    from unmask.bundle.registry import ACCURATE, replacement_for

    replacement = replacement_for(bundle)
    if replacement is not None:
        complain(
            f"{ACCURATE} {bundle.version} was put together by another version of unmask; this one"
            f" makes {replacement}: unmask models make {ACCURATE}"
        )


def tell(text: str) -> None:
    print(text)


def say(text: str) -> None:
    print(text, flush=True)  # long work is watched through files and pipes


def print_table(table: Table) -> None:
    from rich.console import Console

    width = None if sys.stdout.isatty() else 110
    Console(file=sys.stdout, width=width, highlight=False).print(table)


def show(
    result: Report | Failure,
    as_json: bool,
    prevalence: float | None = None,
    card: Card | None = None,
) -> None:
    """Print a result.

    - card: of the bundle that judged; needed for a table
    """
    from unmask.report import to_json
    from unmask.types import Failure

    if as_json:
        line = json.dumps(to_json(result, prevalence), ensure_ascii=False, allow_nan=False) + "\n"
        with uninterrupted():
            sys.stdout.write(line)
            sys.stdout.flush()
    elif isinstance(result, Failure):
        from unmask.cli.tables import printable

        complain(f"{printable(result.path)}: {result.message}")
    else:
        from unmask.cli.tables import report_table

        assert card is not None, "a report is shown with the card of its bundle"
        print_table(report_table(result, card, prevalence))


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the block is done, so that what is printed stays whole lines."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


@contextmanager
def progress(total: int) -> Iterator[Any]:
    """A bar on stderr where that is a terminal, else a line now and then.

    Yields what moves it on by one.
    """
    if total < 2:
        yield lambda done=1: None
        return
    if not sys.stderr.isatty():
        yield _Lines(total)
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
    with bar:
        task = bar.add_task("", total=total)
        yield lambda done=1: bar.advance(task, done)


class _Lines:
    """Says how far work has come, in a line every half a minute: for pipes and log files."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._said_at = total, 0, time.monotonic()

    def __call__(self, done: int = 1) -> None:
        self._done += done
        now = time.monotonic()
        if now - self._said_at >= EVERY_S and self._done < self._total:
            self._said_at = now
            complain(f"{self._done:,} of {self._total:,}")


class ScanBar:
    """A bar on stderr: files that are done, and how far the one that spoke last has come.

    Its methods may be called from several threads.
    """

    def __init__(self, files: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._files, self._done, self._name = files, 0, ""
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[frames]}", markup=False),
            console=Console(stderr=True),
            transient=True,
            # results go where they were sent, not to the bar's terminal
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("", total=1.0, frames="")
        self._bar.start()

    def __call__(self, path: str, progress: ScanProgress) -> None:
        """As `Detector.scan_many` tells of a step."""
        from unmask.cli.tables import printable

        self._name = printable(os.path.basename(path))[-40:]
        share = progress.frames / max(progress.frames_asked, 1)
        asked = progress.frames_asked
        frames = f"frame {progress.frames} of {asked}" if asked > 1 else ""
        self._show(share if self._files == 1 else self._done / self._files, frames)

    def advance(self) -> None:
        """A file is done."""
        self._done += 1
        self._show(self._done / self._files, "")

    def _show(self, share: float, frames: str) -> None:
        count = f"file {min(self._done + 1, self._files)} of {self._files}: "
        words = (count if self._files > 1 else "") + self._name
        self._bar.update(self._task, description=words, completed=share, frames=frames)

    def stop(self) -> None:
        """Take the bar away for good."""
        self._bar.stop()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar away while something is printed."""
        self._bar.stop()
        try:
            yield
        finally:
            if self._done < self._files:
                self._bar.start()


@contextmanager
def scan_bar(files: int) -> Iterator[ScanBar | None]:
    """A bar for a scan, where stderr is a terminal; else None."""
    if not files or not sys.stderr.isatty():
        yield None
        return
    bar = ScanBar(files)
    try:
        yield bar
    finally:
        bar.stop()


@contextmanager
def lab(extra: str = "train") -> Iterator[None]:
    """Turns a missing package of the lab into advice to install it.

    - extra: the one that brings what is needed
    """
    from unmask.errors import MissingExtraError

    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("unmask"):
            raise
        raise MissingExtraError(f"the lab ({error.name} is missing)", extra) from error
