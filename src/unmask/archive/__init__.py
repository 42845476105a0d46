"""Many files: a ledger, places to find files in, and engines that share out the work."""

from __future__ import annotations

from unmask.archive.coordinator import DEFAULT_CAUSES, Coordinator, Executor, Order, ScanPlan
from unmask.archive.database import read_ledger
from unmask.archive.estimate import Estimate, estimate_run
from unmask.archive.executors.processes import ProcessExecutor
from unmask.archive.ledger import Ledger
from unmask.archive.model import Cause, Entry, Outcome, ScanJob, ScanPass, Task
from unmask.archive.run import Run, make_pass, spool_of
from unmask.archive.sources import FileFilter, open_source

__all__ = [
    "DEFAULT_CAUSES",
    "Cause",
    "Coordinator",
    "Entry",
    "Estimate",
    "Executor",
    "FileFilter",
    "Ledger",
    "Order",
    "Outcome",
    "ProcessExecutor",
    "Run",
    "ScanJob",
    "ScanPass",
    "ScanPlan",
    "Task",
    "estimate_run",
    "make_pass",
    "open_source",
    "read_ledger",
    "spool_of",
]
