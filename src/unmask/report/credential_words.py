"""Content Credentials as a chain that people can read: who did what with which program, and when.

Names of actions: C2PA 2.2, section 18.14; of sources: the IPTC's Digital Source Type vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from unmask._internal.text import on_one_line
from unmask._internal.words import Words
from unmask.report.language import say
from unmask.types import Credentials, SignedStep

ACTIONS: Mapping[str, str] = {
    "c2pa.created": Words("created"),
    "c2pa.opened": Words("opened"),
    "c2pa.placed": Words("another file placed in it"),
    "c2pa.removed": Words("part of it removed"),
    "c2pa.edited": Words("edited"),
    "c2pa.edited.metadata": Words("metadata edited"),
    "c2pa.cropped": Words("cropped"),
    "c2pa.resized": Words("resized"),
    "c2pa.orientation": Words("turned or mirrored"),
    "c2pa.color_adjustments": Words("colours adjusted"),
    "c2pa.filtered": Words("filtered"),
    "c2pa.drawing": Words("drawn on"),
    "c2pa.enhanced": Words("enhanced"),
    "c2pa.dubbed": Words("dubbed"),
    "c2pa.translated": Words("translated"),
    "c2pa.converted": Words("converted"),
    "c2pa.transcoded": Words("encoded anew"),
    "c2pa.repackaged": Words("repackaged"),
    "c2pa.redacted": Words("part of its history removed"),
    "c2pa.published": Words("published"),
    "c2pa.watermarked": Words("watermarked"),
    "c2pa.unknown": Words("changed in a way that is not named"),
}
"""What was done, in words; what is not named here is shown as it stands."""

SOURCES: Mapping[str, str] = {
    "trainedAlgorithmicMedia": Words("made by an AI generator"),
    "compositeWithTrainedAlgorithmicMedia": Words("in part made by an AI generator"),
    "algorithmicMedia": Words("made by a program"),
    "compositeSynthetic": Words("composed, with synthetic parts"),
    "composite": Words("composed of several sources"),
    "compositeCapture": Words("composed of several photographs"),
    "digitalCapture": Words("taken by a camera"),
    "computationalCapture": Words("taken by a camera, with computation"),
    "digitalCreation": Words("made by a person with a program"),
    "humanEdits": Words("edited by a person"),
    "negativeFilm": Words("scanned from film"),
    "positiveFilm": Words("scanned from film"),
    "print": Words("scanned from paper"),
    "screenCapture": Words("taken from a screen"),
    "virtualRecording": Words("recorded from a simulation"),
}
"""Where a file comes from, in words."""


def chain(credentials: Credentials) -> Iterator[str]:
    """A sentence for each step that somebody signed, the oldest first."""
    for step in credentials.history:
        yield on_one_line(_step(step))


def source_words(source: str) -> str:
    """A digital source type in words, with its name; empty where there is none."""
    return f"{say(SOURCES[source])} ({source})" if source in SOURCES else source


def _step(step: SignedStep) -> str:
    did = [say(ACTIONS[action]) if action in ACTIONS else action for action in step.actions]
    if step.source:
        did.append(source_words(step.source))
    parts = {
        "when": f"{step.signed_at[:10]}: " if step.signed_at else "",
        "did": ", ".join(dict.fromkeys(did)) or say("signed"),
        "program": step.generator or say("a program without a name"),
        "signer": step.signer or say("an unnamed signer"),
    }
    return say("{when}{did}; with {program}; signed by {signer}", **parts)
