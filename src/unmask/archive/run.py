"""One run over an archive: list, judge, record."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from unmask.archive.coordinator import Coordinator, Executor, ScanPlan
from unmask.archive.ledger import Ledger
from unmask.archive.model import Outcome, ScanPass, Task
from unmask.bundle.registry import identify
from unmask.errors import LedgerError
from unmask.faces import load_finder
from unmask.media import PassedOver
from unmask.types import Settings


class Run:
    """Use as a context manager, then go through `outcomes`.

    Raises as `Ledger`.
    """

    def __init__(self, path: Path, plan: ScanPlan) -> None:
        self._ledger = Ledger(path)
        self._how = "failed"
        self._sources = plan.sources
        try:
            clear_spool(path)
            self._ledger.begin(plan.passes, [source.root for source in plan.sources])
            self.coordinator = Coordinator(self._ledger, plan)
        except BaseException:
            self._ledger.close()
            raise
        self._path = path

    def outcomes(self, engine: Executor) -> Iterator[tuple[Task, Outcome, int]]:
        """The outcome of each file once it is recorded, and how many files it settles.

        Raises SourceError, EngineError, LedgerError, OutputError; what was recorded stays.
        """
        with closing(engine.run(self.coordinator)) as outcomes:
            for outcome in outcomes:
                yield self.coordinator.done(outcome)
        self._how = "stopped" if self.coordinator.stopping else "done"

    @property
    def passed_over(self) -> PassedOver:
        """The files that this run has passed over so far, in all places."""
        total = PassedOver()
        for source in self._sources:
            total.update(source.passed_over)
        return total

    def counts(self) -> dict[str, int]:
        """How many of the files that this run saw are in each state."""
        return self._ledger.counts()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.coordinator.close()
        if self.coordinator.stopping or (
            kind is not None and issubclass(kind, KeyboardInterrupt | GeneratorExit)
        ):
            self._how = "stopped"
        with suppress(LedgerError):  # a full disk: the next run puts right what is left
            self._ledger.end(self._how, self.passed_over.counts())
        self._ledger.close()
        clear_spool(self._path)


def make_pass(
    model: str, faces: str, *, frames: int | None, engine: str, explain: bool, stability: bool
) -> ScanPass:
    """A pass, with the bundle's digest and card checked.

    - frames: as `Detector.scan` takes them

    Its canaries are checked when it is loaded.

    Raises BundleError, FinderError, MissingExtraError.
    """
    most, by_length = Settings().frames if frames is None else frames, frames is None
    settings = Settings(most, load_finder(faces).name, engine, stability, explain, by_length)
    return ScanPass(model, faces, identify(model), settings)


def spool_of(ledger: Path) -> Path:
    """The folder for files of other machines while they are judged."""
    return ledger.with_name(ledger.name + "-spool").absolute()


def clear_spool(ledger: Path) -> None:
    """Delete what a killed run has left there."""
    shutil.rmtree(spool_of(ledger), ignore_errors=True)
