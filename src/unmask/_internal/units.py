"""Sizes and times in units that fit."""

from __future__ import annotations


def size_words(count: float) -> str:
    """Bytes: 999 bytes, 1.5 kB, 2.0 GB."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} bytes"


def duration_words(seconds: float) -> str:
    """A time: 59 seconds, 2.5 minutes, 12.0 hours."""
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"
