"""What the parts of an archive scan say to each other."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from unmask.errors import EngineError
from unmask.types import ModelId, Settings
from unmask.wire import Message


class Why(StrEnum):
    """Why a file is to be judged."""

    NEW = "new"
    CHANGED = "changed"
    PASSING = "passing"
    MODEL = "model"
    FAILED = "failed"
    ALL = "all"
    SUSPECTED = "suspected"


PASSING_KINDS = frozenset({"missing", "unreadable", "changed", "unreachable"})
"""Errors that are not of the content: the same file may well be judged next time."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as a listing shows it. path: as `open_source` takes it, bytes that are no UTF-8 as lone surrogates; stamp:
    differs after the file was changed; modified_s: seconds since 1970, as far as it is known."""

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
    """A file to be judged. file: its number in the ledger; look: the name of the look that it gets."""

    file: int
    path: str
    stamp: str
    size: int | None
    look: str
    why: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a task: a report (JSON, unmask.report/1), or an error.

    sha256: None where the file could not be read. documents: by name, what `--report` writes. fetch_s: seconds for
    bringing it here and reading its digest.
    """

    file: int
    sha256: str | None
    look: str
    report: Mapping[str, Any] | None = None
    error_kind: str | None = None
    error_message: str | None = None
    documents: Mapping[str, bytes] = field(default_factory=dict)
    fetch_s: float = 0.0

    @property
    def passing(self) -> bool:
        """Whether it failed for a reason that may have gone the next time."""
        return self.error_kind in PASSING_KINDS

    def message(self) -> Message:
        """As it travels."""
        words = {name: getattr(self, name) for name in _TOLD}
        parts = {f"document/{name}": data for name, data in self.documents.items()}
        if self.report is not None:
            text = json.dumps(self.report, ensure_ascii=False, allow_nan=False)
            parts["report"] = text.encode("utf-8", "backslashreplace")
        return Message("outcome", words, parts)

    @classmethod
    def of(cls, message: Message) -> Outcome:
        """What `message` made. Raises EngineError where it is none."""
        try:
            report = json.loads(message.parts["report"]) if "report" in message.parts else None
            made = {name.removeprefix("document/"): data for name, data in message.parts.items() if name != "report"}
            return cls(**message.words, report=report, documents=made)
        except (TypeError, ValueError) as error:
            raise EngineError("a worker speaks nonsense") from error


_TOLD = ("file", "sha256", "look", "error_kind", "error_message", "fetch_s")


@dataclass(frozen=True, slots=True)
class Look:
    """How files are looked at. model: a shipped bundle's name or a file; faces: as `load_finder` takes it."""

    model: str
    faces: str
    id: ModelId
    settings: Settings


def shown(path: str) -> tuple[str, bytes]:
    """A path as valid text, and its bytes where those are not UTF-8."""
    raw = os.fsencode(path)
    try:
        return raw.decode(), b""
    except UnicodeDecodeError:
        return raw.decode("utf-8", "backslashreplace"), raw


def unshown(text: str, raw: bytes) -> str:
    """The path that `shown` was given."""
    return os.fsdecode(raw) if raw else text


def split(path: str) -> tuple[str, str, str] | None:
    """Kind, member and archive of a path into an archive, or None for any other path."""
    for kind in ("zip", "tar"):
        if path.startswith(f"{kind}://") and "::" in path:
            member, _, container = path.removeprefix(f"{kind}://").partition("::")
            return kind, member, container
    return None
