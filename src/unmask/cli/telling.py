"""Telling of each file what came of it: in the terminal, in its report, in the log of a case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from unmask.cli.output import DONE, FAILED, SOME_UNJUDGED, complain, show, tell
from unmask.errors import SignatureError

if TYPE_CHECKING:
    from unmask.bundle import Scorer
    from unmask.custody import CaseLog
    from unmask.types import Failure, Report

Write = Callable[..., list[Path]]
"""Writes the report of a file: report and card → paths; `authority` may be replaced."""


class Teller:
    """Tells of each file what came of it: on stdout, in its report, in the log of the case."""

    def __init__(
        self,
        bundle: Scorer,
        as_json: bool,
        prevalence: float | None,
        language: str,
        write: Write | None,
        log: CaseLog | None,
    ) -> None:
        self._bundle, self._as_json, self._prevalence = bundle, as_json, prevalence
        self._language, self._write, self._log = language, write, log
        self._counts: Counter[str] = Counter()
        self._without_time = 0

    def tell(self, outcome: Report | Failure) -> None:
        """A file was judged, or could not be."""
        from unmask.report.language import speaking
        from unmask.types import Failure

        self._counts["failed" if isinstance(outcome, Failure) else outcome.verdict.label] += 1
        with speaking(self._language):
            show(outcome, self._as_json, self._prevalence, self._bundle.card)
            written: list[Path] = []
            if self._write is not None and not isinstance(outcome, Failure):
                written = self._report(self._write, outcome)
            if self._log is not None:
                try:
                    self._log.add(outcome, self._bundle.id, written)
                except SignatureError as error:  # the entry stands, without the time
                    self._miss_time(error)

    def end(self) -> int:
        """Say how many files there were; returns the exit code."""
        total = sum(self._counts.values())
        if not self._as_json and total > 1:
            counted = ", ".join(f"{n} {label}" for label, n in sorted(self._counts.items()))
            tell(f"{total} files: {counted}")
        if self._without_time:
            complain(f"{self._without_time} times could not be confirmed by the authority")
            return FAILED
        return SOME_UNJUDGED if self._counts["failed"] else DONE

    def _report(self, write: Write, report: Report) -> list[Path]:
        try:
            written = write(report, self._bundle.card)
        except SignatureError as error:
            self._miss_time(error)
            written = write(report, self._bundle.card, authority=None)
        if not self._as_json:
            page = next(path for path in written if path.suffix == ".html")
            tell(f"  report: {page}")
        return written

    def _miss_time(self, error: SignatureError) -> None:
        complain(str(error))
        self._without_time += 1


def reporter(
    folder: Path | None,
    sign: Path | None,
    prevalence: float | None,
    language: str,
    case_name: str,
    notes: str,
    authority: str | None,
    certificate: Path | None,
) -> Write | None:
    """What writes the report of a file; folder and keys are tried before any work is done."""
    if folder is None:
        return None
    from unmask._internal.atomic import output_folder
    from unmask.report.case import Case
    from unmask.report.files import write_report
    from unmask.report.signature import read_key

    key = read_key(sign) if sign is not None else None
    named = None
    if certificate is not None:
        from unmask.provenance.signing import read_certificate

        named = read_certificate(certificate, key)
    return partial(
        write_report,
        folder=output_folder(folder),
        prevalence=prevalence,
        key=key,
        case=Case(case_name, notes),
        language=language,
        authority=authority,
        certificate=named,
    )


def case_log(folder: Path, sign: Path | None, who: str, authority: str | None) -> CaseLog:
    """The log of a case; folder, log and key are tried before any work is done."""
    from unmask.custody import CaseLog
    from unmask.report.signature import read_key

    assert sign is not None
    return CaseLog(folder, read_key(sign), who=who, authority=authority)
