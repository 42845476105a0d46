"""A process that judges batches of files: `python -m unmask.archive.executors.worker`.

Two threads overlap: one fetches the next batch and reads its digests while the other judges.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

from unmask._internal.ipc import Message
from unmask.archive.executors.batch import BatchScanner
from unmask.archive.fetch import Fetched
from unmask.archive.model import Outcome, ScanJob, Task
from unmask.errors import UnmaskError
from unmask.workers import MasterChannel, run_worker

MAX_SPOOLED_BYTES = 1 << 46
"""A remote file is written down before it is judged; the disk is the bound."""


class BatchWorker:
    """Fetches and judges the batches that its master sends.

    Messages it is sent: `batch` (number, tasks) and `judge` (number of the batch, files that are to
    be judged). Messages it sends: `fetched` (number of the batch, digests of its files), `outcome`,
    `done` (number of the batch), `broken` where something other than a file is at fault.
    """

    def __init__(self, config: Mapping[str, Any], channel: MasterChannel) -> None:
        job = ScanJob.from_json(config)
        self.memory_bytes = job.memory_bytes
        self._scanner = BatchScanner(job)
        self._channel = channel
        self._to_fetch: queue.SimpleQueue[tuple[int, list[Task]]] = queue.SimpleQueue()
        self._to_judge: queue.SimpleQueue[tuple[int, frozenset[int]]] = queue.SimpleQueue()
        self._fetched: dict[int, list[Fetched]] = {}  # by the batch's number

    def warm_up(self) -> None:
        """As `Worker.warm_up`."""
        self._scanner.warm_up()

    def introduction(self) -> Mapping[str, Any]:
        """As `Worker.introduction`."""
        return {}

    def run(self) -> None:
        """As `Worker.run`."""
        for work in (self._listen, self._fetch_batches):
            threading.Thread(target=self._guarded, args=(work,), daemon=True).start()
        self._guarded(self._judge_batches)

    def _listen(self) -> None:
        for message in self._channel.messages():
            number = message.words["batch"]
            if message.kind == "batch":
                tasks = [Task(**task) for task in message.words["tasks"]]
                self._to_fetch.put((number, tasks))
            else:
                self._to_judge.put((number, frozenset(message.words["files"])))
        os._exit(0)

    def _fetch_batches(self) -> None:
        while True:
            number, tasks = self._to_fetch.get()
            files = []
            for result in self._scanner.fetch(tasks):
                if isinstance(result, Outcome):
                    self._channel.send(result.message())
                else:
                    files.append(result)
            self._fetched[number] = files
            digests = [[file.task.file, file.sha256] for file in files]
            self._channel.send(Message("fetched", {"batch": number, "digests": digests}))

    def _judge_batches(self) -> None:
        while True:
            number, wanted = self._to_judge.get()
            files = self._fetched.pop(number)
            for file in files:
                if file.task.file not in wanted:
                    file.discard()
            wanted_files = [file for file in files if file.task.file in wanted]
            for outcome in self._scanner.judge(wanted_files):
                self._channel.send(outcome.message())
            self._channel.send(Message("done", {"batch": number}))

    def _guarded(self, work: Callable[[], None]) -> None:
        """What is not one file's fault ends the process, which says why."""
        try:
            work()
        except UnmaskError as error:
            self._channel.send(Message("broken", {"message": str(error)}))
        except Exception as error:
            self._channel.send(Message("broken", {"message": f"{type(error).__name__}: {error}"}))
        os._exit(1)


def main() -> None:
    """Work for whoever started this process."""
    run_worker(BatchWorker, file_bytes=MAX_SPOOLED_BYTES)


if __name__ == "__main__":
    main()
