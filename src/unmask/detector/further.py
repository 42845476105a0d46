"""Kinds of evidence besides faces and provenance: analyzers that other packages bring."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from unmask._internal.plugins import load_plugins
from unmask.analysis.base import Analysis, Analyzer
from unmask.errors import UnmaskError
from unmask.media import OpenMedia
from unmask.types import Finding, Frame


@cache
def installed_analyzers() -> tuple[Analyzer, ...]:
    """One of each kind that installed packages offer (entry points `unmask.analyzers`)."""
    return tuple(make() for make in load_plugins("unmask.analyzers").values())


class FurtherAnalyses:
    """The further analyses of one file.

    One that fails becomes a finding that says so: it must not cost the file its verdict, nor go
    unnoticed.
    """

    def __init__(self, analyzers: Sequence[Analyzer], path: Path, source: OpenMedia) -> None:
        self._running: dict[str, Analysis] = {}
        self._failed: list[Finding] = []
        for analyzer in analyzers:
            try:
                self._running[analyzer.name] = analyzer.begin(path, source)
            except Exception as error:
                self._fail(analyzer.name, error)

    def see(self, frame: Frame) -> None:
        """Show a frame to all of them."""
        for name, analysis in list(self._running.items()):
            try:
                analysis.see(frame)
            except Exception as error:
                self._fail(name, error)

    def findings(self) -> tuple[Finding, ...]:
        """What they found, and which of them failed."""
        findings: list[Finding] = []
        for name, analysis in list(self._running.items()):
            try:
                findings += analysis.findings()
            except Exception as error:
                self._fail(name, error)
        return (*findings, *self._failed)

    def _fail(self, name: str, error: Exception) -> None:
        if isinstance(error, UnmaskError):
            raise error  # not the file's fault: a model is missing, say
        self._running.pop(name, None)
        words = f"this analysis failed and says nothing of the file ({type(error).__name__})"
        self._failed.append(Finding(name, "failed", words))
