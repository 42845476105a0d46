"""One scan of an archive: list, judge, write down."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from unmask.archive.desk import Desk, Engine, Plan
from unmask.archive.ledger import Ledger
from unmask.archive.words import Look, Outcome, Task
from unmask.bundle.session import identify
from unmask.errors import LedgerError
from unmask.faces import load_finder
from unmask.types import Settings


class Run:
    """Use as a context manager, then go through `outcomes`. Raises as `Ledger`."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self._ledger = Ledger(path)
        self._how = "failed"
        try:
            clear_spool(path)
            self._ledger.begin(plan.looks, [source.root for source in plan.sources])
            self.desk = Desk(self._ledger, plan)
        except BaseException:
            self._ledger.close()
            raise
        self._path = path

    def outcomes(self, engine: Engine) -> Iterator[tuple[Task, Outcome, int]]:
        """What comes of each file as it is written down, and how many files that settles. Raises SourceError,
        EngineError, LedgerError, OutputError; what was written down stays."""
        with closing(engine.run(self.desk)) as found:
            for outcome in found:
                yield self.desk.done(outcome)
        self._how = "stopped" if self.desk.stopping else "done"

    def counts(self) -> dict[str, int]:
        """How many files that this run saw are in each state."""
        return self._ledger.counts()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.desk.close()
        if self.desk.stopping or (kind is not None and issubclass(kind, KeyboardInterrupt | GeneratorExit)):
            self._how = "stopped"
        with suppress(LedgerError):  # a full disk: the next run puts right what is left
            self._ledger.end(self._how)
        self._ledger.close()
        clear_spool(self._path)


def make_look(model: str, faces: str, *, frames: int, engine: str, explain: bool, stability: bool) -> Look:
    """A look, with the bundle's digest and card checked; its canaries are when it is loaded. Raises BundleError,
    FinderError, MissingExtraError."""
    settings = Settings(frames, load_finder(faces).name, engine, stability, explain)
    return Look(model, faces, identify(model), settings)


def ask(
    looks: Mapping[str, Look],
    *,
    max_pixels: int,
    spool: Path,
    documents: bool = False,
    prevalence: float | None = None,
    sign: Path | None = None,
    memory_bytes: int = 4_000_000_000,
    time_s: float = 1800.0,
) -> dict[str, Any]:
    """What a `Judge` and the engines are asked for, as JSON values."""
    return {
        "looks": {
            name: {
                "model": look.model,
                "faces": look.faces,
                "engine": look.settings.engine,
                "frames": look.settings.frames,
                "explain": look.settings.explain,
                "stability": look.settings.stability,
            }
            for name, look in looks.items()
        },
        "max_pixels": max_pixels,
        "spool": str(spool),
        "documents": documents,
        "prevalence": prevalence,
        "sign": None if sign is None else str(sign),
        "memory_bytes": memory_bytes,
        "time_s": time_s,
    }


def spool_of(ledger: Path) -> Path:
    """Where files of other machines lie while they are judged."""
    return ledger.with_name(ledger.name + "-spool").absolute()


def clear_spool(ledger: Path) -> None:
    """What a killed run has left there."""
    shutil.rmtree(spool_of(ledger), ignore_errors=True)
