"""What is said of a file that a worker could not cope with."""

from __future__ import annotations

from typing import NamedTuple

ATTEMPTS = 2
"""How often a file is tried whose worker dies: once more, for the death may not be its fault."""


class Fault(NamedTuple):
    """Why a file could not be judged.

    - kind: for programs, as `MediaError.kind`
    - message: for people
    """

    kind: str
    message: str


def crashed(attempts: int) -> Fault:
    """The workers that tried the file have died."""
    return Fault("crashed", f"decoding this file crashes the decoder (tried {attempts} times)")


def too_slow(seconds: float) -> Fault:
    """Judging the file took longer than allowed."""
    return Fault("too_slow", f"judging this file takes longer than the {seconds:g} s allowed")


def too_heavy(memory_bytes: int) -> Fault:
    """Judging the file took more memory than allowed."""
    megabytes = f"{memory_bytes / 1e6:.0f} MB"
    return Fault("too_heavy", f"judging this file takes more memory than the {megabytes} allowed")
