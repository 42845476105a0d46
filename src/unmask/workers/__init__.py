"""Worker processes that judge files which may be hostile; the server and the archive share them.

A file can at worst take over a worker, which may not write files, use more memory or processor time
than allowed, or send its master anything but data. A worker that dies is replaced.
"""

from __future__ import annotations

from unmask.workers.faults import ATTEMPTS, Fault, crashed, too_heavy, too_slow
from unmask.workers.process import MasterChannel, Worker, run_worker, warm_up
from unmask.workers.spawn import SPAWN_OPTIONS, environment, worker_command

__all__ = [
    "ATTEMPTS",
    "SPAWN_OPTIONS",
    "Fault",
    "MasterChannel",
    "Worker",
    "crashed",
    "environment",
    "run_worker",
    "too_heavy",
    "too_slow",
    "warm_up",
    "worker_command",
]
