"""What a run would do and how long it would take: a dry run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from unmask.archive.coordinator import Coordinator, ScanPlan
from unmask.archive.executors.batch import BatchScanner
from unmask.archive.fetch import Fetched
from unmask.archive.ledger import Ledger
from unmask.archive.model import ScanJob, Task
from unmask.archive.sources import is_picture
from unmask.types import Failure

SAMPLE, ENOUGH = 6, 20
"""Files of a kind that are judged to learn what one takes, where the ledger knows of fewer than the
second."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Files of one kind that are due.

    - seconds: of one core's work for one file
    - measured_on: how many files that was measured on
    - sampled: just now, not in earlier runs
    """

    files: int
    bytes: int
    seconds: float
    measured_on: int
    sampled: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would do.

    - listed: files found
    - kinds: by `image` and `video`, those that are due
    - unlisted: places that could not be listed
    """

    listed: int
    kinds: Mapping[str, Kind]
    unlisted: tuple[Failure, ...]

    @property
    def core_s(self) -> float:
        """Seconds of one core's work for all of it."""
        return sum(kind.files * kind.seconds for kind in self.kinds.values())


def estimate_run(path: Path, plan: ScanPlan, job: ScanJob) -> Estimate:
    """List the files, compare with the ledger, and estimate the time a run would take.

    The estimate rests on what earlier judgements took, or on a few files judged now, which are not
    recorded.

    Raises as a run.
    """
    with Ledger(path if path.exists() else None) as ledger, ledger.dry_run():
        ledger.begin(plan.passes, [source.root for source in plan.sources])
        coordinator = Coordinator(ledger, plan)
        try:
            coordinator.list_all()
        finally:
            coordinator.close()
        rates, due = ledger.rates(), ledger.due()
    scanner: BatchScanner | None = None
    kinds = {}
    for name in ("image", "video"):
        of_kind = [(path, size) for path, size in due if is_picture(path) == (name == "image")]
        if not of_kind:
            continue
        count, seconds = rates.get(name, (0, 0.0))
        sampled = count < ENOUGH
        if sampled:
            scanner = scanner or BatchScanner(job)
            count, seconds = _sample(scanner, [path for path, _ in of_kind])
        kinds[name] = Kind(len(of_kind), sum(size for _, size in of_kind), seconds, count, sampled)
    return Estimate(coordinator.listed, kinds, tuple(coordinator.unlisted))


def _sample(scanner: BatchScanner, paths: list[str]) -> tuple[int, float]:
    """How many files were judged, and the mean seconds of each."""
    step = max(1, len(paths) // SAMPLE)
    tasks = [
        Task(number, path, "", None, "full", "new")
        for number, path in enumerate(paths[::step][:SAMPLE])
    ]
    scanner.warm_up()
    started = perf_counter()
    files = [file for file in scanner.fetch(tasks) if isinstance(file, Fetched)]
    judged = sum(1 for _ in scanner.judge(files))
    return judged, (perf_counter() - started) / max(judged, 1)
