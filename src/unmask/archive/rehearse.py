"""What a run would do, and how long it would take, without doing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from unmask.archive.desk import Desk, Plan
from unmask.archive.fetch import Fetched
from unmask.archive.judge import Judge
from unmask.archive.ledger import Ledger
from unmask.archive.sources import is_picture
from unmask.archive.words import Task
from unmask.types import Failure

SAMPLE, ENOUGH = 6, 20
"""Files of a kind that are judged to learn what one takes, where the ledger knows of fewer than the second."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Files of one kind that are due. seconds: of one core's work for one file; measured_on: how many files that was
    measured on; sampled: just now, not in earlier runs."""

    files: int
    bytes: int
    seconds: float
    measured_on: int
    sampled: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """listed: files found; kinds: by `image` and `video` what is due of them; unlisted: what could not be listed."""

    listed: int
    kinds: Mapping[str, Kind]
    unlisted: tuple[Failure, ...]

    @property
    def core_s(self) -> float:
        """Seconds of one core's work for all of it."""
        return sum(kind.files * kind.seconds for kind in self.kinds.values())


def rehearse(path: Path, plan: Plan, asked: Mapping[str, Any]) -> Estimate:
    """List, compare with the ledger, and estimate by what earlier judgements took, or by judging a few files now, which
    are not written down. Raises as a run."""
    with Ledger(path if path.exists() else None) as ledger, ledger.rehearsal():
        ledger.begin(plan.looks, [source.root for source in plan.sources])
        desk = Desk(ledger, plan)
        try:
            desk.list_all()
        finally:
            desk.close()
        rates, due = ledger.rates(), ledger.due()
    judge: Judge | None = None
    kinds = {}
    for name in ("image", "video"):
        mine = [(path, size) for path, size in due if is_picture(path) == (name == "image")]
        if not mine:
            continue
        count, seconds = rates.get(name, (0, 0.0))
        sampled = count < ENOUGH
        if sampled:
            judge = judge or Judge(asked)
            count, seconds = _sample(judge, [path for path, _ in mine])
        kinds[name] = Kind(len(mine), sum(size for _, size in mine), seconds, count, sampled)
    return Estimate(desk.listed, kinds, tuple(desk.unlisted))


def _sample(judge: Judge, paths: list[str]) -> tuple[int, float]:
    """How many files were judged, and the mean seconds of each."""
    step = max(1, len(paths) // SAMPLE)
    tasks = [Task(number, path, "", None, "full", "new") for number, path in enumerate(paths[::step][:SAMPLE])]
    judge.warm_up()
    started = perf_counter()
    files = [file for file in judge.fetch(tasks) if isinstance(file, Fetched)]
    judged = sum(1 for _ in judge.judge(files))
    return judged, (perf_counter() - started) / max(judged, 1)
