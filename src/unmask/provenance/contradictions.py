"""Where a file's words and the judgement of its pixels disagree."""

from __future__ import annotations

from unmask._internal.words import Words
from unmask.provenance.tags import AI_SOURCES
from unmask.types import Label, Provenance, Verdict


def contradictions(provenance: Provenance, verdict: Verdict) -> tuple[str, ...]:
    """Where the file's words and the judgement of its pixels disagree, in words."""
    notes: list[str] = []
    credentials, said = provenance.credentials, provenance.said
    if provenance.ai_generated and verdict.label is Label.REAL:
        notes.append(
            Words(
                "The file says that a generator made or changed it, but no sign of that was"
                " found in the face: the detector may miss what this generator makes, or only"
                " other parts were made by it."
            )
        )
    if verdict.label is Label.FAKE and not provenance.ai_generated:
        if credentials.state == "valid" and credentials.source not in AI_SOURCES:
            signer = credentials.signer or Words("an unnamed signer")
            notes.append(
                Words(
                    "The file carries intact credentials of {signer} that say nothing of a"
                    " generator, but the face looks fake: one of the two is mistaken, or the fake"
                    " was made before signing.",
                    signer=signer,
                )
            )
        elif camera := " ".join(filter(None, (said.get("maker"), said.get("camera")))):
            notes.append(
                Words(
                    "The file names a camera ({camera}), but the face looks fake: tags are easily"
                    " copied or kept when a picture is changed.",
                    camera=camera,
                )
            )
    if credentials.state == "tampered":
        notes.append(Words("The file was changed after its Content Credentials were signed."))
    return tuple(notes)
