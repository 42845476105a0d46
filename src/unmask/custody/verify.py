"""Checking a case file: chain, signatures, times, reports, and the files that were judged."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unmask.custody.log import FIRST, LOG, REPORTS, SCHEMA
from unmask.errors import MediaError, SignatureError
from unmask.media.files import file_sha256
from unmask.report.signature import canonical, verify_signature
from unmask.report.timestamp import check_stamp


@dataclass(slots=True)
class CaseCheck:
    """What was found.

    - entries: in their order, as far as they could be read
    - faults: sentences, each naming its entry; none: the case is as it was written
    - signed_by: fingerprints of the keys
    - times: by number, when an authority saw the entry
    - head: digest of the last line. Whoever has noted it elsewhere notices a log that was cut short
    """

    entries: list[Mapping[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    signed_by: set[str] = field(default_factory=set)
    times: dict[int, datetime.datetime] = field(default_factory=dict)
    head: str = FIRST


def verify_case(
    folder: Path,
    *,
    key: Path | None = None,
    authorities: Path | None = None,
    files: bool = False,
    head: str | None = None,
) -> CaseCheck:
    """Check everything, and go on after a fault.

    - key: a public key (PEM) that must have signed every entry
    - authorities: certificates (PEM) to which time stamps must lead
    - files: also read the judged files again
    - head: digest that an entry must have, noted when the case was seen last

    Raises SignatureError where there is no log.
    """
    try:
        content = (folder / LOG).read_bytes()
    except OSError as error:
        raise SignatureError(f"{folder} is no case: cannot read {LOG}") from error
    found = CaseCheck()
    lines = content.split(b"\n")
    if lines.pop():
        found.faults.append("the last line is not whole")
    digests = set()
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            _check_entry(entry, number, found, key, authorities)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            found.faults.append(f"entry {number} cannot be read: {error}")
            entry = {}
        else:
            found.entries.append(entry)
            _check_reports(entry, number, folder, found)
            if files:
                _check_file(entry, number, found)
        if isinstance(entry, dict) and entry and canonical(entry) != line:
            found.faults.append(f"entry {number} is not written as it was")
        found.head = hashlib.sha256(line).hexdigest()
        digests.add(found.head)
    if head is not None and head not in digests:
        found.faults.append(f"no entry has the digest {head}: the log was cut short or replaced")
    return found


def _check_entry(
    entry: Mapping[str, Any],
    number: int,
    found: CaseCheck,
    key: Path | None,
    authorities: Path | None,
) -> None:
    """Its place in the chain, its signature, and its time."""
    if entry["schema"] != SCHEMA:
        found.faults.append(f"entry {number} is of another kind: {entry['schema']!r:.40}")
    if entry["number"] != number:
        found.faults.append(
            f"entry {number} calls itself {entry['number']}: one is missing or moved"
        )
    if entry["previous"] != found.head:
        found.faults.append(f"entry {number} does not follow the one before it")
    stamped = {name: value for name, value in entry.items() if name != "timestamp"}
    try:
        found.signed_by.add(verify_signature(stamped, f"entry {number}", key))
    except SignatureError as error:
        found.faults.append(str(error))
    if "timestamp" in entry:
        try:
            seen = check_stamp(entry["timestamp"], canonical(stamped), authorities)
        except SignatureError as error:
            found.faults.append(f"entry {number}: {error}")
        else:
            found.times[number] = seen.time


def _check_reports(entry: Mapping[str, Any], number: int, folder: Path, found: CaseCheck) -> None:
    for name, digest in entry["reports"].items():
        fault = _fault(folder / REPORTS / Path(name).name, digest)
        if fault:
            found.faults.append(f"entry {number}: its report {name} {fault}")


def _check_file(entry: Mapping[str, Any], number: int, found: CaseCheck) -> None:
    file = entry["file"]
    if file.get("sha256") is None or "fetched" in file:
        return  # it could not be read then; or it was fetched, and is not here
    fault = _fault(Path(file["path"]), file["sha256"])
    if fault:
        found.faults.append(f"entry {number}: the file {file['path']} {fault}")


def _fault(path: Path, digest: str) -> str | None:
    """What is wrong with a file that should have this digest."""
    try:
        now = file_sha256(path)
    except MediaError as error:
        return f"cannot be read: {error}"
    return None if now == digest else "is another one now"
