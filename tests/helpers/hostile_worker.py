"""A worker whose files do what their names say: crash it, keep it busy, take its memory."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence

from unmask.archive.executors import worker
from unmask.archive.executors.batch import BatchScanner
from unmask.archive.fetch import Fetched
from unmask.archive.model import Outcome

judge = BatchScanner.judge


def hostile(self: BatchScanner, files: Sequence[Fetched]) -> Iterator[Outcome]:
    for file in files:
        name = os.path.basename(file.path)
        if "crash" in name:
            os.kill(os.getpid(), signal.SIGSEGV)
        if "slow" in name:
            time.sleep(60)
        if "once" in name and not os.path.exists(file.path + ".tried"):
            open(file.path + ".tried", "w").close()
            os._exit(1)
    yield from judge(self, files)


BatchScanner.judge = hostile  # type: ignore[method-assign]

if __name__ == "__main__":
    worker.main()
