"""The work of an archive scan done by processes of this machine, one a core."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from time import monotonic, sleep
from typing import BinaryIO, cast

from unmask._internal.ipc import Message, receive
from unmask.archive.coordinator import Coordinator
from unmask.archive.model import Outcome, ScanJob, Task
from unmask.errors import ExecutorError
from unmask.workers import (
    ATTEMPTS,
    SPAWN_OPTIONS,
    crashed,
    environment,
    too_slow,
    worker_command,
)

WORKER_MODULE = "unmask.archive.executors.worker"

BATCHES_AHEAD = 2
"""Batches that a worker has: one is judged while the next is fetched."""

STARTUP_S, TICK_S = 90.0, 0.2
"""For a worker to load its models; between looks at the clock and at a listing that goes on."""

MAX_STARTUP_FAILURES = 5
"""Workers in a row that die before they have judged anything, after which something other than a
file must be wrong."""


@dataclass(slots=True)
class Batch:
    """Files given to one worker together.

    - left: files without an outcome, by their numbers
    - judging: whether the worker was told to judge them
    - since: when the clock for the next file began to run (monotonic)
    """

    number: int
    left: dict[int, Task]
    judging: bool = False
    since: float = 0.0


@dataclass(eq=False, slots=True)
class WorkerHandle:
    """A worker process, seen from here.

    - began: when it was started (monotonic)
    - ready: whether it has loaded its models
    - batches: what it has to do, by their numbers, in the order in which it will do it
    - judged: files that it has judged
    - too_slow: whether it was killed for taking too long
    """

    process: subprocess.Popen[bytes]
    began: float
    listener: threading.Thread | None = None
    ready: bool = False
    batches: dict[int, Batch] = field(default_factory=dict)
    judged: int = 0
    too_slow: bool = False


class ProcessExecutor:
    """An Executor that keeps a number of worker processes alive and busy."""

    def __init__(self, job: ScanJob, jobs: int, command: Sequence[str] | None = None) -> None:
        """Nothing is started yet.

        - job: what the workers are to do
        - jobs: how many of them
        - command: starts a worker, with the job as JSON behind it; None: the usual one
        """
        self._job = job
        self._jobs = jobs
        self._command = worker_command(WORKER_MODULE, job.to_json())
        if command is not None:
            self._command = [*command, json.dumps(job.to_json())]
        self._reset()

    def _reset(self) -> None:
        self._inbox: queue.SimpleQueue[tuple[WorkerHandle, Message | None]] = queue.SimpleQueue()
        self._workers: list[WorkerHandle] = []
        self._retries: deque[list[Task]] = deque()  # batches of workers that died
        self._deaths: dict[int, int] = {}  # by file: workers that died while it was alone
        self._startup_failures = 0
        self._batches = 0

    def run(self, coordinator: Coordinator) -> Generator[Outcome]:
        """Judge what the coordinator gives, until it has no more or is stopping.

        Raises ExecutorError, also with the words of a worker that could not load what it was to.
        """
        self._reset()
        try:
            # no worker is started before there is work
            while not (first := coordinator.take()):
                if coordinator.finished or coordinator.stopping:
                    return
                sleep(TICK_S / 10)
            self._retries.append(first)
            self._workers = [self._start_worker() for _ in range(self._jobs)]
            while True:
                self._dispatch(coordinator)
                if self._all_done(coordinator):
                    return
                with suppress(queue.Empty):
                    worker, message = self._inbox.get(timeout=TICK_S)
                    yield from self._on_message(coordinator, worker, message)
                self._enforce_timeouts()
        finally:
            self._stop_all()

    def _all_done(self, coordinator: Coordinator) -> bool:
        if any(worker.batches for worker in self._workers):
            return False
        return coordinator.stopping or (coordinator.finished and not self._retries)

    def _dispatch(self, coordinator: Coordinator) -> None:
        """Give batches to workers that have room for one, those of dead workers first."""
        for worker in self._workers:
            while worker.ready and len(worker.batches) < BATCHES_AHEAD and not coordinator.stopping:
                tasks = self._retries.popleft() if self._retries else coordinator.take()
                if not tasks:
                    return
                self._batches += 1
                number = self._batches
                left = {task.file: task for task in tasks}
                worker.batches[number] = Batch(number, left, since=monotonic())
                words = {"batch": number, "tasks": [asdict(task) for task in tasks]}
                _send(worker, Message("batch", words))

    def _on_message(
        self, coordinator: Coordinator, worker: WorkerHandle, message: Message | None
    ) -> Iterator[Outcome]:
        """React to what a worker says; None: it has ended."""
        if message is None:
            yield from self._on_worker_exit(worker)
        elif message.kind == "ready":
            worker.ready = True
        elif message.kind == "outcome":
            yield from self._on_outcome(worker, Outcome.of(message))
        elif message.kind == "fetched":
            self._on_fetched(coordinator, worker, message)
        elif message.kind == "done":
            del worker.batches[message.words["batch"]]
            for batch in worker.batches.values():
                batch.since = monotonic()  # its turn begins
        else:
            # refused or broken: not the fault of a file
            words = message.words.get("message", "unexpected message from a worker process")
            raise ExecutorError(str(words))

    def _on_outcome(self, worker: WorkerHandle, outcome: Outcome) -> Iterator[Outcome]:
        for batch in worker.batches.values():
            if batch.left.pop(outcome.file, None) is not None:
                batch.since = monotonic()
                worker.judged += 1
                self._startup_failures = 0
                yield outcome

    def _on_fetched(self, coordinator: Coordinator, worker: WorkerHandle, message: Message) -> None:
        """The contents of a batch are known: tell the worker which of its files to judge."""
        batch = worker.batches[message.words["batch"]]
        tasks = [(batch.left[file], digest) for file, digest in message.words["digests"]]
        wanted = frozenset() if coordinator.stopping else coordinator.decide(tasks)
        batch.left = {file: task for file, task in batch.left.items() if file in wanted}
        batch.judging = True
        batch.since = monotonic()
        _send(worker, Message("judge", {"batch": batch.number, "files": sorted(wanted)}))

    def _on_worker_exit(self, worker: WorkerHandle) -> Iterator[Outcome]:
        """A worker has died, and is replaced.

        What it was judging may be why: each of those files is tried again alone, and given up
        once it has killed ATTEMPTS workers alone.
        """
        _release(worker)
        self._workers.remove(worker)
        self._startup_failures += not worker.judged
        if self._startup_failures >= MAX_STARTUP_FAILURES and not worker.batches:
            code = worker.process.returncode
            raise ExecutorError(f"worker processes die at once (the last with exit code {code})")
        unfinished = [batch for batch in worker.batches.values() if batch.left]
        # the one that was being judged first: only its files are suspects
        unfinished.sort(key=lambda batch: not batch.judging)
        for place, batch in enumerate(unfinished):
            tasks = list(batch.left.values())
            if place > 0:
                self._retries.append(tasks)
            elif len(tasks) > 1:
                self._retries.extend([task] for task in tasks)
            else:
                yield from self._retry_or_give_up(tasks[0], timed_out=worker.too_slow)
        self._workers.append(self._start_worker())

    def _retry_or_give_up(self, task: Task, *, timed_out: bool) -> Iterator[Outcome]:
        self._deaths[task.file] = self._deaths.get(task.file, 0) + 1
        if timed_out:
            kind, message = too_slow(self._job.time_s)
        elif self._deaths[task.file] >= ATTEMPTS:
            kind, message = crashed(ATTEMPTS)
        else:
            self._retries.append([task])
            return
        yield Outcome(task.file, None, task.scan_pass, error_kind=kind, error_message=message)

    def _enforce_timeouts(self) -> None:
        now = monotonic()
        for worker in self._workers:
            if not worker.ready and now - worker.began > STARTUP_S:
                raise ExecutorError(f"a worker process is not ready after {STARTUP_S:g} s")
            # a worker judges its batches in their order
            current = next(iter(worker.batches.values()), None)
            if current is None or not current.judging or worker.too_slow:
                continue
            if now - current.since > self._job.time_s:
                worker.too_slow = True
                worker.process.kill()

    def _start_worker(self) -> WorkerHandle:
        process = subprocess.Popen(self._command, env=environment(), **SPAWN_OPTIONS)
        worker = WorkerHandle(process, monotonic())
        worker.listener = threading.Thread(target=self._listen, args=(worker,), daemon=True)
        worker.listener.start()
        return worker

    def _listen(self, worker: WorkerHandle) -> None:
        with suppress(Exception):  # it died in the middle of a message
            while (message := receive(cast(BinaryIO, worker.process.stdout))) is not None:
                self._inbox.put((worker, message))
        self._inbox.put((worker, None))

    def _stop_all(self) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            _release(worker)


def _send(worker: WorkerHandle, message: Message) -> None:
    assert worker.process.stdin is not None
    with suppress(OSError):  # it has died, which its listener notices
        worker.process.stdin.write(message.pack())
        worker.process.stdin.flush()


def _release(worker: WorkerHandle) -> None:
    """Wait until a worker has ended, and close the lines to it."""
    worker.process.wait()
    if worker.listener is not None:
        worker.listener.join()
    for stream in (worker.process.stdin, worker.process.stdout):
        if stream is not None:
            with suppress(OSError):  # what could not be sent any more
                stream.close()
