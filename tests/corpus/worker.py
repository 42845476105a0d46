"""A process that judges broken files: what it says, how long it takes, whether it survives."""

from __future__ import annotations

import multiprocessing
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

LONGEST_S = 60.0
"""A file of two hundred kilobytes is judged in that time on any machine, or never."""

MOST_MEMORY = 1_500_000_000
"""Bytes of address space beyond what the loaded models take."""


class Judge:
    """Judges one file after the other in another process, which is begun anew when it dies."""

    def __init__(self, bundle: Path) -> None:
        self._bundle = bundle
        self._process: Any = None
        self._line: Connection | None = None

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def judge(self, path: Path) -> dict[str, Any]:
        """What happened.

        - verdict, reasons: of a file that was judged
        - error: the kind of an error that unmask raises on purpose
        - fault: anything else: what was raised, "too slow", "crashed"
        - seconds
        """
        if self._process is None or not self._process.is_alive():
            self._begin()
        assert self._line is not None
        started = time.monotonic()
        try:
            self._line.send(str(path))
            if self._line.poll(LONGEST_S):
                return {**self._line.recv(), "seconds": time.monotonic() - started}
            fault = "too slow"
        except (EOFError, OSError):
            fault = "crashed"
        self._end()
        return {"fault": fault, "seconds": time.monotonic() - started}

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs, str(self._bundle)), daemon=True)
        self._process.start()
        theirs.close()
        assert self._line.recv() == "ready"

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def work(line: Connection, bundle: str) -> None:
    """The life of the process."""
    from unmask._internal.sandbox import limit_memory
    from unmask.detector import load_detector
    from unmask.workers.process import warm_up

    detector = load_detector(bundle)
    warm_up([detector])
    limit_memory(MOST_MEMORY, file_bytes=100_000_000)
    line.send("ready")
    with suppress(EOFError):
        while True:
            line.send(_answer(detector, line.recv()))


def _answer(detector: Any, path: str) -> dict[str, Any]:
    from unmask.errors import MediaError

    try:
        report = detector.scan(path, stability=False)
    except MediaError as error:
        return {"error": error.kind}
    except BaseException as error:
        return {"fault": f"{type(error).__name__}: {error}"}
    reasons = [reason.value for reason in report.verdict.reasons]
    return {"verdict": report.verdict.label.value, "reasons": reasons}
