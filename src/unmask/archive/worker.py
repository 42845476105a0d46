"""A process that judges lots of files: `python -m unmask.archive.worker`, spoken to over its stdin and stdout.

Two threads overlap: one fetches the next lot and reads its digests while the other judges. A file that crashes the
process, or takes more memory than it may, costs this process alone.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from typing import Any, BinaryIO

from unmask.archive.fetch import Fetched
from unmask.archive.judge import Judge
from unmask.archive.words import Outcome, Task
from unmask.errors import UnmaskError
from unmask.pipeline import one_opencv_thread
from unmask.process import limit_memory, take_streams
from unmask.wire import Message, receive

SPOOLED_BYTES = 1 << 46
"""A remote file is written down before it is judged; the disk is the bound."""


class Worker:
    """Does what it is told, lot by lot."""

    def __init__(self, judge: Judge, source: BinaryIO, out: BinaryIO) -> None:
        self._judge, self._source, self._out = judge, source, out
        self._speaking = threading.Lock()
        self._orders: queue.SimpleQueue[tuple[int, list[Task]]] = queue.SimpleQueue()
        self._fetched: dict[int, list[Fetched]] = {}
        self._wanted: queue.SimpleQueue[tuple[int, frozenset[int]]] = queue.SimpleQueue()

    def run(self) -> None:
        """Until there is nobody to work for."""
        for work in (self._listen, self._fetch):
            threading.Thread(target=self._guarded, args=(work,), daemon=True).start()
        self._guarded(self._judge_lots)

    def _listen(self) -> None:
        while (message := receive(self._source)) is not None:
            if message.kind == "lot":
                tasks = [Task(**task) for task in message.words["tasks"]]
                self._orders.put((message.words["lot"], tasks))
            else:
                self._wanted.put((message.words["lot"], frozenset(message.words["files"])))
        os._exit(0)

    def _fetch(self) -> None:
        while True:
            lot, tasks = self._orders.get()
            found = list(self._judge.fetch(tasks))
            for outcome in found:
                if isinstance(outcome, Outcome):
                    self._say(outcome.message())
            self._fetched[lot] = [file for file in found if isinstance(file, Fetched)]
            digests = [[file.task.file, file.sha256] for file in self._fetched[lot]]
            self._say(Message("fetched", {"lot": lot, "digests": digests}))

    def _judge_lots(self) -> None:
        while True:
            lot, wanted = self._wanted.get()
            files = self._fetched.pop(lot)
            for file in files:
                if file.task.file not in wanted:
                    file.discard()
            for outcome in self._judge.judge([file for file in files if file.task.file in wanted]):
                self._say(outcome.message())
            self._say(Message("done", {"lot": lot}))

    def _guarded(self, work: Any) -> None:
        """What is not one file's fault ends the process, with words."""
        try:
            work()
        except UnmaskError as error:
            self._say(Message("broken", {"message": str(error)}))
        except Exception as error:
            self._say(Message("broken", {"message": f"{type(error).__name__}: {error}"}))
        os._exit(1)

    def _say(self, message: Message) -> None:
        try:
            with self._speaking:
                self._out.write(message.pack())
                self._out.flush()
        except OSError:
            os._exit(0)  # nobody listens


def main() -> None:
    """Work for whoever started this."""
    asked = json.loads(sys.argv[1])
    source, out = take_streams()
    try:
        judge = Judge(asked)
        judge.warm_up()
    except UnmaskError as error:
        out.write(Message("refused", {"message": str(error)}).pack())
        out.flush()
        return
    limit_memory(asked["memory_bytes"], SPOOLED_BYTES)
    worker = Worker(judge, source, out)
    out.write(Message("ready").pack())
    out.flush()
    with one_opencv_thread(True):
        worker.run()


if __name__ == "__main__":
    main()
