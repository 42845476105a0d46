"""What an analyzer is: one kind of evidence about a file, as its faces or its provenance are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from unmask.media import OpenMedia
from unmask.types import Finding, Frame

__all__ = ["Analysis", "Analyzer"]


class Analysis(Protocol):
    """What one analyzer makes of one file."""

    def see(self, frame: Frame) -> None:
        """A frame that was chosen to be looked at; frames may come in any order."""

    def findings(self) -> Sequence[Finding]:
        """What was found, once all frames were seen."""


class Analyzer(Protocol):
    """One kind of evidence.

    Packages offer theirs by an entry point in the group `unmask.analyzers`: something that is
    called without arguments and returns an Analyzer (docs/extending.md).
    """

    @property
    def name(self) -> str:
        """What reports call it, as `sound`."""

    def begin(self, path: Path, source: OpenMedia) -> Analysis:
        """Begin with a file, which is open: its media and tags are known, no frame was read yet."""
