"""A process that judges strangers' files: what it may take, and the line to its master."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO

OUT_OF_MEMORY = (
    "bad_alloc",
    "insufficient memory",
    "failed to allocate",
    "cannot allocate",
    "out of memory",
)
"""How libraries written in C++ put it."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether this is how a library says that it got no memory."""
    return isinstance(error, MemoryError) or any(
        words in str(error).lower() for words in OUT_OF_MEMORY
    )


def take_streams() -> tuple[BinaryIO, BinaryIO]:
    """This process's stdin and stdout, for it alone.

    Libraries that print would garble the line to the master, or write about a file into a log, so
    their streams lead nowhere from now on.
    """
    source, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    return source, out


def limit_memory(extra: int, file_bytes: int = 0) -> None:
    """Limit the process's memory and files, and let it leave no core dump.

    - extra: bytes of address space beyond what it has now
    - file_bytes: size of the files that it may write
    """
    if sys.platform != "linux":
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + extra,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would hold the picture
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))


def limit_processor(seconds: float) -> None:
    """Let the process use the processor for so long from now, on all cores; then it is killed."""
    if sys.platform != "linux":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    cores = os.cpu_count() or 1
    most = int(used.ru_utime + used.ru_stime + cores * seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))
