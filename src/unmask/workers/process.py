"""The inside of a worker process: its line to the master, and its life from start to end."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from unmask._internal.concurrency import one_opencv_thread
from unmask._internal.ipc import Message, receive
from unmask._internal.sandbox import limit_memory, take_streams
from unmask.detector import Detector
from unmask.errors import MediaError, UnmaskError
from unmask.types import Report


class MasterChannel:
    """The line between a worker and its master. Any thread may send; one receives."""

    def __init__(self, source: BinaryIO, out: BinaryIO) -> None:
        self._source = source
        self._out = out
        self._sending = threading.Lock()

    def send(self, message: Message) -> None:
        """Send a message; if the master has gone, the process ends."""
        try:
            with self._sending:
                self._out.write(message.pack())
                self._out.flush()
        except OSError:
            os._exit(0)

    def messages(self) -> Iterator[Message]:
        """What the master sends, until it closes the line.

        Raises ValueError where that is not a message.
        """
        while (message := receive(self._source)) is not None:
            yield message


class Worker(Protocol):
    """What runs in a worker process."""

    memory_bytes: int
    """Memory that may be taken beyond what the loaded models take."""

    def warm_up(self) -> None:
        """Load what is loaded at first use, so that it counts for no file."""

    def introduction(self) -> Mapping[str, Any]:
        """What the master is told when the worker is ready: JSON values."""

    def run(self) -> None:
        """Work until the master closes the line."""


def run_worker(
    make: Callable[[Mapping[str, Any], MasterChannel], Worker],
    *,
    file_bytes: int = 0,
    niceness: int = 0,
) -> None:
    """The life of a worker process.

    - make: builds the worker from its configuration (JSON, the first argument of the command line);
      an UnmaskError that it raises is told to the master
    - file_bytes: size of files that the process may write
    - niceness: added to the process's own, so that the master stays responsive
    """
    config = json.loads(sys.argv[1])
    channel = MasterChannel(*take_streams())
    with suppress(OSError, AttributeError):
        os.nice(niceness)
    try:
        worker = make(config, channel)
        worker.warm_up()
    except UnmaskError as error:
        channel.send(Message("refused", {"message": str(error)}))
        return
    limit_memory(worker.memory_bytes, file_bytes)
    with one_opencv_thread(True):
        channel.send(Message("ready", worker.introduction()))
        worker.run()


def warm_up(
    detectors: Iterable[Detector], use: Callable[[Report, Detector], object] | None = None
) -> None:
    """Judge a small picture and a frame of a small clip with each detector.

    - use: what else is done with reports
    """
    import unmask.demo

    folder = Path(unmask.demo.__file__).parent
    for detector in detectors:
        for name in ("2-generated.jpg", "5-generated.mp4"):
            with suppress(MediaError):  # the limits may be narrow
                report = detector.scan(folder / name, frames=1)
                if use is not None:
                    use(report, detector)
