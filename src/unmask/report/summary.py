"""The result as plain text, to be pasted into a message or a note."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from unmask.report.language import say


def summary(view: Mapping[str, Any]) -> str:
    """What a reader of the report is told first, and what identifies file and model.

    - view: as `unmask.report.view.build` makes it
    """
    came_from = {say("Fetched from"), say("Which led to"), say("Fetched at")}
    lines = [
        f"{view['name']}: {view['label_words']}",
        view["headline"],
        f"{say('Why:')} {' '.join(view['reasons'])}",
    ]
    if view["percent"]:
        probability = say("Probability of fake: {probability}", probability=view["percent"])
        lines.append(f"{probability} ({view['probability']})")
        lines.append(say("That is {odds}", odds=view["base_rates"]))
    lines += [
        f"{say('Not covered:')} {view['not_covered']}",
        *(f"{say('Note')}: {note}." for note in view["notes"]),
        *(f"{name}: {words}" for name, words in view["facts"] if name in came_from),
        ": ".join(view["digests"][0]),
        say(
            "Checked by unmask {version} with {model} on {date}. A screening aid, not proof.",
            version=view["version"],
            model=view["method"]["model"],
            date=view["date"],
        ),
    ]
    return "\n".join(re.sub(r"\.\.$", ".", line) for line in lines)
