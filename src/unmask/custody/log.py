"""Writing a case file: one line of JSON for each file that was judged."""

from __future__ import annotations

import datetime
import getpass
import hashlib
import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

import unmask
from unmask._internal.atomic import output_errors, output_folder
from unmask.errors import MediaError, SignatureError
from unmask.media.files import file_sha256
from unmask.report.json import settings_json
from unmask.report.signature import canonical, sign
from unmask.report.timestamp import stamp
from unmask.types import Failure, ModelId, Report

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SCHEMA = "unmask.case/1"
LOG, REPORTS = "log.jsonl", "reports"
FIRST = "0" * 64
"""What the first entry names in place of one before it."""


class CaseLog:
    """Adds entries to the log of a case.

    - reports: the folder for the reports of the files in it
    """

    def __init__(
        self,
        folder: Path,
        key: Ed25519PrivateKey,
        *,
        who: str = "",
        authority: str | None = None,
    ) -> None:
        """Folder and log are tried before any work is done.

        - who: by default the name of this machine's user
        - authority: address of a time authority (RFC 3161) that is asked for each entry

        Raises OutputError, or SignatureError for a log whose last line is not whole.
        """
        self._path = output_folder(folder) / LOG
        self.reports = output_folder(folder / REPORTS)
        self._key, self._authority = key, authority
        self._who = who or getpass.getuser()
        with self._locked():
            self._last()

    def add(self, outcome: Report | Failure, model: ModelId, reports: Iterable[Path] = ()) -> str:
        """Write the entry of a file that was judged, or could not be; returns its digest.

        - reports: the files of its report, in the case's folder

        Raises OutputError; SignatureError where the time authority gives no time, after the entry
        was written without one.
        """
        missing_time: SignatureError | None = None
        with self._locked():
            number, previous = self._last()
            body = {
                "schema": SCHEMA,
                "number": number + 1,
                "previous": previous,
                "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "who": self._who,
                "with": _program(),
                "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
                **_told(outcome),
                "reports": {path.name: file_sha256(path) for path in sorted(reports)},
            }
            entry = sign(body, self._key)
            if self._authority is not None:
                try:
                    entry["timestamp"] = stamp(canonical(entry), self._authority)
                except SignatureError as error:
                    missing_time = error
            line = canonical(entry)
            with output_errors(self._path), self._path.open("ab") as log:
                log.write(line + b"\n")
                log.flush()
                os.fsync(log.fileno())
        if missing_time is not None:
            raise missing_time
        return hashlib.sha256(line).hexdigest()

    def _last(self) -> tuple[int, str]:
        """The last entry's number, and the digest of its line."""
        lines = self._path.read_bytes() if self._path.exists() else b""
        if not lines:
            return 0, FIRST
        if not lines.endswith(b"\n"):
            raise SignatureError(
                f"the last line of {self._path} is not whole: look at it, and begin a new case if"
                " nobody can say why"
            )
        last = lines[:-1].rsplit(b"\n", 1)[-1]
        try:
            return int(json.loads(last)["number"]), hashlib.sha256(last).hexdigest()
        except (ValueError, KeyError, TypeError) as error:
            raise SignatureError(f"the last line of {self._path} is no entry: {error}") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with FileLock(f"{self._path}.lock", timeout=60):
                yield
        except Timeout as error:
            raise SignatureError(f"another process is writing to {self._path}") from error


def _program() -> dict[str, str]:
    return {
        "unmask": unmask.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _told(outcome: Report | Failure) -> Mapping[str, Any]:
    """The file and what came of it."""
    if isinstance(outcome, Failure):
        return {
            "file": {"path": outcome.path, "sha256": _digest_if_there(Path(outcome.path))},
            "outcome": {"error": outcome.kind, "message": outcome.message},
        }
    media, verdict = outcome.media, outcome.verdict
    fetched = media.fetched
    return {
        "file": {
            "path": media.path,
            "sha256": media.sha256,
            **({"fetched": {"url": fetched.url, "at": fetched.at}} if fetched else {}),
        },
        "settings": settings_json(outcome.settings),
        "outcome": {
            "verdict": str(verdict.label),
            "probability_fake": verdict.probability_fake,
            "reasons": [str(reason) for reason in verdict.reasons],
        },
    }


def _digest_if_there(path: Path) -> str | None:
    try:
        return file_sha256(path)
    except MediaError:
        return None
