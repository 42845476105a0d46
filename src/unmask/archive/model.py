"""The values that the parts of an archive scan hand to each other."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from unmask._internal.ipc import Message
from unmask._internal.text import valid_unicode
from unmask.errors import ExecutorError
from unmask.types import ModelId, Settings


class Cause(StrEnum):
    """Why a file is to be judged."""

    NEW = "new"
    CHANGED = "changed"
    TRANSIENT = "passing"
    MODEL = "model"
    FAILED = "failed"
    ALL = "all"
    SUSPECTED = "suspected"


TRANSIENT_KINDS = frozenset({"missing", "unreadable", "changed", "unreachable"})
"""Errors that are not of the content: the same file may well be judged next time."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as a listing shows it.

    - path: as `open_source` takes it, bytes that are no UTF-8 as lone surrogates
    - size: in bytes, as far as it is known
    - stamp: differs after the file was changed
    - modified_s: seconds since 1970, as far as it is known
    """

    path: str
    size: int | None = None
    modified_s: float | None = None
    stamp: str = ""

    @property
    def folder(self) -> str:
        """What holds it: a folder, or the archive that it is a member of."""
        inside = split(self.path)
        return os.path.dirname(self.path) if inside is None else inside[2]


@dataclass(frozen=True, slots=True)
class Task:
    """A file to be judged.

    - file: its number in the ledger
    - path, stamp, size: as its `Entry`
    - scan_pass: the name of the pass that it is judged in
    - why: a `Cause`
    """

    file: int
    path: str
    stamp: str
    size: int | None
    scan_pass: str
    why: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a task: a report, or an error.

    - file: its number in the ledger
    - scan_pass: the name of the pass it was judged in
    - report: JSON values, unmask.report/1
    - error_kind, error_message: as in `Failure`
    - sha256: None where the file could not be read
    - documents: by name, what `--report` writes
    - fetch_s: seconds for bringing it here and reading its digest
    """

    file: int
    sha256: str | None
    scan_pass: str
    report: Mapping[str, Any] | None = None
    error_kind: str | None = None
    error_message: str | None = None
    documents: Mapping[str, bytes] = field(default_factory=dict)
    fetch_s: float = 0.0

    @property
    def transient(self) -> bool:
        """Whether it failed for a reason that may be gone the next time."""
        return self.error_kind in TRANSIENT_KINDS

    def message(self) -> Message:
        """As it is sent between processes."""
        words = {name: getattr(self, name) for name in _FIELDS}
        parts = {f"document/{name}": data for name, data in self.documents.items()}
        if self.report is not None:
            text = json.dumps(self.report, ensure_ascii=False, allow_nan=False)
            parts["report"] = text.encode("utf-8", "backslashreplace")
        return Message("outcome", words, parts)

    @classmethod
    def of(cls, message: Message) -> Outcome:
        """The outcome in a message.

        Raises ExecutorError where the message is not one.
        """
        try:
            report = json.loads(message.parts["report"]) if "report" in message.parts else None
            made = {
                name.removeprefix("document/"): data
                for name, data in message.parts.items()
                if name != "report"
            }
            return cls(**message.words, report=report, documents=made)
        except (TypeError, ValueError) as error:
            raise ExecutorError("unexpected message from a worker process") from error


_FIELDS = ("file", "sha256", "scan_pass", "error_kind", "error_message", "fetch_s")


@dataclass(frozen=True, slots=True)
class ScanPass:
    """How files are judged in one pass over the archive: `first` (cheap, optional) or `full`.

    - model: a shipped bundle's name or a file
    - faces: a face finder, as `load_finder` takes it
    - id: which bundle that is
    - settings: frames, engine, and what else changes the result
    """

    model: str
    faces: str
    id: ModelId
    settings: Settings


@dataclass(frozen=True, slots=True)
class ScanJob:
    """What the workers of a run are to do, wherever they are.

    - passes: by name, `full` among them
    - max_pixels: larger pictures and frames are refused
    - spool: folder for files of other machines while they are judged
    - documents: whether to make what `--report` writes, of files judged in full
    - prevalence: the user's share of fakes, or None
    - language: of the reports, one of `unmask.report.language.LANGUAGES`
    - device: where the bundles run, as `load_detector` takes it
    - signing_key: file of the key that signs reports, or None
    - memory_bytes: that a worker may take for a file, beyond its models
    - time_s: for judging one file
    """

    passes: Mapping[str, ScanPass]
    max_pixels: int
    spool: Path
    documents: bool = False
    prevalence: float | None = None
    language: str = "en"
    device: str = "cpu"
    signing_key: Path | None = None
    memory_bytes: int = 4_000_000_000
    time_s: float = 1800.0

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for another process."""
        key = None if self.signing_key is None else str(self.signing_key)
        return {
            **{name: getattr(self, name) for name in _PLAIN_JOB_FIELDS},
            "passes": {name: asdict(scan_pass) for name, scan_pass in self.passes.items()},
            "spool": str(self.spool),
            "signing_key": key,
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> ScanJob:
        """What `to_json` was made of."""
        key = tree["signing_key"]
        return cls(
            **{name: tree[name] for name in _PLAIN_JOB_FIELDS},
            passes={name: _pass_from_json(row) for name, row in tree["passes"].items()},
            spool=Path(tree["spool"]),
            signing_key=None if key is None else Path(key),
        )


_PLAIN_JOB_FIELDS = (
    "max_pixels",
    "documents",
    "prevalence",
    "language",
    "device",
    "memory_bytes",
    "time_s",
)


def _pass_from_json(row: Mapping[str, Any]) -> ScanPass:
    return ScanPass(row["model"], row["faces"], ModelId(**row["id"]), Settings(**row["settings"]))


def encode_path(path: str) -> tuple[str, bytes]:
    """A path as valid text, and its bytes where those are not UTF-8."""
    raw = os.fsencode(path)
    try:
        return raw.decode(), b""
    except UnicodeDecodeError:
        return valid_unicode(path), raw


def decode_path(text: str, raw: bytes) -> str:
    """The path that `encode_path` was given."""
    return os.fsdecode(raw) if raw else text


def split(path: str) -> tuple[str, str, str] | None:
    """Kind, member and archive of a path into an archive, or None for any other path.

    Two colons may stand in names, too: the archive is the first absolute path or URL behind some,
    or else all behind the first.
    """
    kind, separator, rest = path.partition("://")
    if not separator or kind not in ("zip", "tar"):
        return None
    parts = rest.split("::")
    if len(parts) == 1:
        return None
    whole = (n for n in range(1, len(parts)) if os.path.isabs(parts[n]) or "://" in parts[n])
    begins = next(whole, 1)
    return kind, "::".join(parts[:begins]), "::".join(parts[begins:])
