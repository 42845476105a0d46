"""Many files: a ledger, places to find files in, and engines that share out the work."""

from __future__ import annotations

from unmask.archive.desk import AGAIN, Desk, Engine, Order, Plan
from unmask.archive.ledger import Ledger, read_ledger
from unmask.archive.local import LocalPool
from unmask.archive.rehearse import Estimate, rehearse
from unmask.archive.run import Run, ask, make_look, spool_of
from unmask.archive.sources import Wanted, open_source
from unmask.archive.words import Entry, Look, Outcome, Task, Why

__all__ = [
    "AGAIN",
    "Desk",
    "Engine",
    "Entry",
    "Estimate",
    "Ledger",
    "LocalPool",
    "Look",
    "Order",
    "Outcome",
    "Plan",
    "Run",
    "Task",
    "Wanted",
    "Why",
    "ask",
    "make_look",
    "open_source",
    "read_ledger",
    "rehearse",
    "spool_of",
]
