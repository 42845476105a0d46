"""What the maker of a report adds in his own words: the name of a case, and notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unmask._internal.text import on_one_line

LONGEST_NAME, LONGEST_NOTES = 200, 10_000
"""Characters."""


@dataclass(frozen=True, slots=True)
class Case:
    """A person's words beside those of unmask, marked as theirs in every form of the report.

    - name: of the case, in a line
    - notes: may have several lines
    """

    name: str = ""
    notes: str = ""


def with_case(view: Mapping[str, Any], case: Case | None) -> dict[str, Any]:
    """The view of a report (`unmask.report.view.build`) with these words in it."""
    if case is None or not (case.name.strip() or case.notes.strip()):
        return {**view, "case": None}
    lines = [on_one_line(line) for line in case.notes[:LONGEST_NOTES].strip().splitlines()]
    name = on_one_line(case.name[:LONGEST_NAME]).strip()
    return {**view, "case": {"name": name, "notes": lines}}
