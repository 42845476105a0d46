"""The result as plain text, to be pasted into a message or a note."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

FETCHED = ("Fetched from", "Which led to", "Fetched at")
"""The facts that say where a file came from."""


def summary(view: Mapping[str, Any]) -> str:
    """What a reader of the report is told first, and what identifies file and model.

    - view: as `unmask.report.view.build` makes it
    """
    digests = dict(view["digests"])
    lines = [
        f"{view['name']}: {view['label_words']}",
        view["headline"],
        f"Why: {' '.join(view['reasons'])}",
    ]
    if view["percent"]:
        lines.append(f"Probability of fake: {view['percent']} ({view['probability']})")
        lines.append(f"That is {view['base_rates']}")
    lines += [
        f"Not covered: {view['not_covered']}",
        *(f"Note: {note}." for note in view["notes"]),
        *(f"{name}: {words}" for name, words in view["facts"] if name in FETCHED),
        f"sha-256 of the file: {digests['file']}",
        f"Checked by unmask {view['version']} with {view['method']['model']} on {view['date']}. A"
        " screening aid, not proof.",
    ]
    return "\n".join(re.sub(r"\.\.$", ".", line) for line in lines)
