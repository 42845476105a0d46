"""Sentences of a report that hold figures of it, made once for its page and its PDF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unmask.report.language import say


def texts(view: Mapping[str, Any]) -> dict[str, str]:
    """By what they are about.

    - view: the report's, as far as it is made
    """
    thresholds = {"fake": view["fake_threshold"], "real": view["real_threshold"]}
    return {
        "report_on": say("Report on {name}", name=view["name"]),
        "made_by": say(
            "Made by unmask {version} on {date}. A screening aid, not proof.",
            version=view["version"],
            date=view["date"],
        ),
        "method": say(
            "Faces were found in the frames, cut out by their landmarks and scored one by one by"
            " the model {model}; a person's probability is the mean of the log-odds of their"
            " faces. At and above {fake} a person is called fake, at and below {real} real; where"
            " several people are judged, the first bound rises with their number. Settings:"
            " {settings}.",
            model=view["method"]["model"],
            settings=view["method"]["settings"],
            **thresholds,
        ),
        "timeline": say(
            "Probability of fake from 0 to 1 in the course of the video: each dot is a face that"
            " was checked, the line is their trend, the grey band its 95 % interval, estimated"
            " from the differences between neighbouring frames. Dashed lines: at and above {fake}"
            " the model says fake, at and below {real} real.",
            **thresholds,
        ),
        "figures": say("Test figures, measured {when}", when=view["method"]["evaluated_on"]),
        "training": say("Trained on {sets}.", sets="; ".join(view["method"]["training"])),
        "unlisted": say("and {n} more, in the JSON.", n=view["unlisted"]),
    }
