"""How many things to do at the same time."""

from __future__ import annotations

import os


def cores(wanted: int | None) -> int:
    """`wanted`, or one for each core where that is 0 or None."""
    return wanted or os.cpu_count() or 1
