"""Hands out files, makes sure no content is judged twice, and records what comes back.

It stands between the ledger and whoever does the work, and is the ledger's one writer.

The ledger's one writer.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Protocol

from unmask._internal.atomic import write_atomically
from unmask.archive.ledger import Ledger
from unmask.archive.model import Cause, Entry, Outcome, ScanPass, Task
from unmask.archive.sources import FileFilter, Source, is_picture
from unmask.errors import SourceError, UnmaskError
from unmask.types import Failure

BATCH_FILES, BATCH_BYTES = 16, 64_000_000
"""Pictures in a batch, which are scored together, and bytes; a video is a batch of its own."""

LISTED_AHEAD, LISTED_TOGETHER = 8, 1000
"""Batches of a listing that wait to be written down, and files in each."""

IN_A_ROW = 20
"""Unreadable files in a row, after which the storage is asked whether it is still there."""


class Order(StrEnum):
    """Which files come first.

    All but `listed` wait for the listing to be complete.
    """

    LISTED = "listed"
    LARGEST = "largest"
    NEWEST = "newest"


DEFAULT_CAUSES = frozenset({Cause.CHANGED, Cause.TRANSIENT, Cause.MODEL})


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """What a run is to do.

    - sources: places with files
    - passes: by name; `full`, and `first` if there is a budget
    - wanted: which of the listed files to judge
    - again: causes for which known files are judged again
    - order: which files come first
    - budget: share of the files of the first pass that are judged in full; None: all are at once
    - reports: folder for reports, or None
    """

    sources: Sequence[Source]
    passes: Mapping[str, ScanPass]
    wanted: FileFilter = field(default_factory=FileFilter)
    again: frozenset[Cause] = DEFAULT_CAUSES
    order: Order = Order.LISTED
    budget: float | None = None
    reports: Path | None = None


class Executor(Protocol):
    """Does the work of a run: worker processes, a cluster, or a fake in tests."""

    def run(self, coordinator: Coordinator) -> Generator[Outcome]:
        """Judge what the coordinator hands out, until it has no more or is stopping."""


class Coordinator:
    """Shares out the files of a run. Use from one thread."""

    def __init__(self, ledger: Ledger, plan: ScanPlan) -> None:
        self._ledger, self._plan = ledger, plan
        self._listing = Listing(plan)
        self._claimed: deque[Task] = deque()
        self._at_work: dict[int, Task] = {}
        self._digests: dict[int, str] = {}
        self._waiting: dict[
            tuple[str, str], list[int]
        ] = {}  # content and look under way: other files that have it
        self._unreadable_in_a_row = 0
        self.stopping = False
        self.finished = False
        self.listed = 0
        self.known = 0
        self.judged = 0
        self.settled = 0
        self.due = 0
        self.promoted: tuple[int, int] | None = None
        self.unlisted: list[Failure] = []

    @property
    def complete(self) -> bool:
        """Whether all files have been listed."""
        return self._listing.over

    def list_all(self) -> None:
        """Record the whole listing before anything else."""
        while not self._listing.over:
            self._record_listing(wait=True)

    def take(self) -> list[Task]:
        """The next batch, of one pass; empty if there is none now, or none at all (`finished`)."""
        if not self._listing.over:
            if self._plan.order is not Order.LISTED:
                self.list_all()
            self._record_listing(wait=False)
        batch = self._next_batch()
        if not batch and self._listing.over and not self._waiting and not self._at_work:
            batch = self._promote()
            self.finished = not batch
        return batch

    def decide(self, found: Sequence[tuple[Task, str]]) -> frozenset[int]:
        """Of files whose contents are known now, the numbers of those that are to be judged."""
        wanted = set()
        for task, digest in found:
            key = (digest, task.scan_pass)
            before = self._digests.get(task.file)
            if before not in (None, digest):  # it was tried before, and has changed since
                self._ledger.release(self._waiting.pop((str(before), task.scan_pass), []))
            if self._is_judged(task, digest) or (key in self._waiting and before != digest):
                self.attach(task, digest)
            else:
                self._waiting.setdefault(key, [])
                self._digests[task.file] = digest
                wanted.add(task.file)
        return frozenset(wanted)

    def done(self, outcome: Outcome) -> tuple[Task, Outcome, int]:
        """Write down what came of a file: the file, what came of it, and how many files it settles.

        Raises LedgerError, OutputError; SourceError where the place itself has gone away.
        """
        task = self._at_work.pop(outcome.file)
        digest = outcome.sha256 or self._digests.get(outcome.file)
        self._digests.pop(outcome.file, None)
        outcome = replace(outcome, sha256=digest)
        same = self._waiting.pop((digest, outcome.scan_pass), []) if digest is not None else []
        self.judged += 1
        self.settled += 1
        if digest is None or outcome.transient:
            self._ledger.fail(outcome)
            self._ledger.release(same)
            self._check_source(outcome)
            return task, outcome, 1
        for name, content in outcome.documents.items():
            if self._plan.reports is not None:
                write_atomically(self._plan.reports / name, content)
        self._ledger.record(outcome, [outcome.file, *same])
        self._unreadable_in_a_row = 0
        self.known += len(same)
        self.settled += len(same)
        return task, outcome, 1 + len(same)

    def attach(self, task: Task, digest: str) -> None:
        """Attach a file to a content that is being judged, or has been."""
        self._at_work.pop(task.file, None)
        if self._is_judged(task, digest):
            self._ledger.link([task.file], digest, task.scan_pass)
            self.known += 1
            self.settled += 1
        else:
            self._waiting.setdefault((digest, task.scan_pass), []).append(task.file)

    def release_waiting(self) -> None:
        """Queue files again that wait for a content of which no outcome came."""
        self._ledger.release(file for files in self._waiting.values() for file in files)
        self._waiting.clear()

    def judged_digests(self) -> dict[str, list[str]]:
        """By pass, the contents that need no judging; for executors that cannot ask `decide`."""
        return {name: list(self._ledger.digests(name)) for name in self._plan.passes}

    def close(self) -> None:
        """Stop listing files."""
        self._listing.stop()

    def _next_batch(self) -> list[Task]:
        if not self._claimed:
            for number, path, stamp, size, why in self._ledger.claim(2 * BATCH_FILES):
                self._claimed.append(
                    Task(number, path, stamp, size, self._pass_for(path, why), why)
                )
        batch: list[Task] = []
        size = 0
        while self._claimed and len(batch) < BATCH_FILES:
            task = self._claimed[0]
            size += task.size or 0
            if batch and (
                not is_picture(task.path)
                or size > BATCH_BYTES
                or task.scan_pass != batch[0].scan_pass
            ):
                break
            batch.append(self._claimed.popleft())
            self._at_work[task.file] = task
            if not is_picture(task.path):
                break
        return batch

    def _pass_for(self, path: str, why: str) -> str:
        """The pass that a file gets.

        A picture has one frame: a first pass with the same model would be the full one.
        """
        if self._plan.budget is None or why == Cause.SUSPECTED:
            return "full"
        same = self._plan.passes["first"].id == self._plan.passes["full"].id
        return "full" if same and is_picture(path) else "first"

    def _is_judged(self, task: Task, digest: str) -> bool:
        run = self._ledger.judged(digest, task.scan_pass)
        forced = task.why in (Cause.ALL, Cause.FAILED)
        return run is not None and (not forced or run == self._ledger.run)

    def _promote(self) -> list[Task]:
        """After the first pass, the most suspicious files."""
        if self._plan.budget is None or self.promoted is not None:
            return []
        self.promoted = self._ledger.promote(self._plan.budget)
        self.due += self.promoted[0]
        return self._next_batch()

    def _record_listing(self, *, wait: bool) -> None:
        for chunk in self._listing.chunks(wait=wait):
            self.unlisted += [item for item in chunk if isinstance(item, Failure)]
            entries = [item for item in chunk if isinstance(item, Entry)]
            ranks = _ranks(entries, self._plan.order, self.listed)
            self._ledger.upsert(zip(entries, ranks, strict=True), self._plan.again)
            self.listed += len(entries)
        if self._listing.over:
            self._ledger.reuse()
            self._close_listing()
            self.due = self.settled + self._ledger.unsettled()

    def _close_listing(self) -> None:
        """Mark files that this run did not find as missing, unless something was left out."""
        for root, count in self._listing.counts.items():
            if count:
                continue
            if known := self._ledger.known_below(root):
                raise SourceError(
                    f"{root} holds no picture or video, though the ledger knows {known} from"
                    " there: is it mounted?"
                )
            self.unlisted.append(
                Failure(root, "nothing_to_judge", "it holds no picture or video, by their suffixes")
            )
        if self._plan.wanted.everything and not self.unlisted:
            for source in self._plan.sources:
                self._ledger.mark_missing(source.root)

    def _check_source(self, outcome: Outcome) -> None:
        if outcome.error_kind not in ("missing", "unreadable", "unreachable"):
            return
        self._unreadable_in_a_row += 1
        remote = self._unreadable_in_a_row % IN_A_ROW == 0
        for source in self._plan.sources:
            if ("://" not in source.root or remote) and not source.still_there():
                raise SourceError(
                    f"{source.root} has gone away (unmounted, or it does not answer); what was"
                    " judged is kept: give the same command again when it is back"
                )


class Listing:
    """Lists all sources in a thread of its own, some chunks ahead."""

    def __init__(self, plan: ScanPlan) -> None:
        self._plan = plan
        self._ready: queue.Queue[list[Entry | Failure] | UnmaskError | None] = queue.Queue(
            LISTED_AHEAD
        )
        self._stopped = threading.Event()
        self.over = False
        self.counts = {source.root: 0 for source in plan.sources}
        threading.Thread(target=self._work, name="unmask-list", daemon=True).start()

    def chunks(self, *, wait: bool) -> Iterator[list[Entry | Failure]]:
        """Those that are ready; with `wait` at least one, or the end.

        Raises SourceError where listing failed.
        """
        while not self.over:
            try:
                chunk = self._ready.get(block=wait)
            except queue.Empty:
                return
            wait = False
            if isinstance(chunk, UnmaskError):
                raise chunk
            if chunk is None:
                self.over = True
            else:
                yield chunk

    def stop(self) -> None:
        """Stop listing, and drop what was listed ahead."""
        self._stopped.set()
        with suppress(queue.Empty):
            while True:
                self._ready.get_nowait()

    def _work(self) -> None:
        try:
            for source in self._plan.sources:
                self._list(source)
            self._hand_over(None)
        except UnmaskError as error:
            self._hand_over(error)
        except Exception as error:
            self._hand_over(SourceError(f"cannot list the files: {type(error).__name__}: {error}"))

    def _list(self, source: Source) -> None:
        file_filter = self._plan.wanted
        items = self._counted(source)
        while chunk := list(islice(items, LISTED_TOGETHER)):
            self._hand_over(
                [
                    item
                    for item in chunk
                    if isinstance(item, Failure) or file_filter(item, source.root)
                ]
            )
            if self._stopped.is_set():
                return

    def _counted(self, source: Source) -> Iterator[Entry | Failure]:
        for item in source.files():
            self.counts[source.root] += 1
            yield item

    def _hand_over(self, chunk: list[Entry | Failure] | UnmaskError | None) -> None:
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._ready.put(chunk, timeout=0.2)
                return


def _ranks(entries: Sequence[Entry], order: Order, before: int) -> list[float]:
    if order is Order.LARGEST:
        return [-float(entry.size or 0) for entry in entries]
    if order is Order.NEWEST:
        return [-(entry.modified_s or 0.0) for entry in entries]
    return [float(before + number) for number in range(len(entries))]
