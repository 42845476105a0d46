"""All checks of what a file says of itself. The second analyzer, after the faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from unmask._internal.plugins import load_plugins
from unmask._internal.words import Words
from unmask.provenance.base import Check, FileUnderCheck
from unmask.provenance.credentials import check_credentials
from unmask.provenance.double_jpeg import check_double_jpeg
from unmask.provenance.encoder import check_encoder
from unmask.provenance.generator_marks import check_generator_marks
from unmask.provenance.tags import AI_TRACES, check_tags
from unmask.types import Credentials, Finding, Frame, Label, Provenance

CHECKS: dict[str, Check] = {
    "tags": check_tags,
    "credentials": check_credentials,
    "encoder": check_encoder,
    "double_jpeg": check_double_jpeg,
    "generator_marks": check_generator_marks,
}
"""The project's own checks, in the order in which their traces are listed."""


@cache
def all_checks() -> tuple[Check, ...]:
    """The project's own checks and those of installed packages.

    Raises PluginError where one cannot be loaded.
    """
    return (*CHECKS.values(), *load_plugins("unmask.checks").values())


def check_provenance(file: FileUnderCheck) -> Provenance:
    """What all checks found, put together."""
    found = Provenance()
    for check in all_checks():
        found = _joined(found, check(file))
    return found


def _joined(first: Provenance, second: Provenance) -> Provenance:
    credentials = first.credentials
    if credentials == Credentials():
        credentials = second.credentials
    return replace(
        first,
        said={**first.said, **second.said},
        credentials=credentials,
        traces={**first.traces, **second.traces},
        ai_generated=first.ai_generated or second.ai_generated,
    )


class ProvenanceAnalysis:
    """What one file says of itself.

    - found: complete once a frame was seen
    """

    def __init__(self, path: Path, tags: Mapping[str, str], *, is_video: bool) -> None:
        self._path = path
        self._tags = tags
        self._is_video = is_video
        self._checked = False
        self.found = Provenance()

    def see(self, frame: Frame) -> None:
        """Check the file, at its first frame."""
        if self._checked:
            return
        self._checked = True
        self.found = check_provenance(
            FileUnderCheck(self._path, self._tags, self._is_video, frame.image)
        )

    def findings(self) -> tuple[Finding, ...]:
        """A finding for each trace, and one for Content Credentials where there are some."""
        findings = [
            Finding(
                analyzer="provenance",
                code=code,
                summary=words,
                points_to=Label.FAKE if code in AI_TRACES else None,
            )
            for code, words in self.found.traces.items()
        ]
        credentials = self.found.credentials
        if credentials.state != "absent":
            findings.append(
                Finding(
                    analyzer="provenance",
                    code=f"credentials_{credentials.state}",
                    summary=Words("Content Credentials: {state}", state=credentials.state),
                    points_to=Label.FAKE if credentials.ai_generated else None,
                )
            )
        return tuple(findings)
