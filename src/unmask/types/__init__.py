"""The words of unmask: Media → Frame → Face → Score → Verdict → Report, and Person.

Frozen values that flow one way. Images are RGB, uint8, (height, width, 3), read-only; boxes are
xyxy in pixels of the frame; times are seconds; there is one polarity: the probability that a face
is *fake*.
"""

from __future__ import annotations

from unmask.types.faces import (
    Box,
    Exhibit,
    ExhibitRole,
    Face,
    Faithfulness,
    Fetched,
    Floats,
    Frame,
    Image,
    Label,
    Media,
    Moment,
    Part,
    Pointing,
    Quality,
    Reason,
    Score,
    Segment,
    Unseen,
    Variant,
    Verdict,
)
from unmask.types.report import (
    Credentials,
    CredentialsState,
    Failure,
    Finding,
    ModelId,
    Person,
    Provenance,
    Report,
    Settings,
    SignedStep,
    Timing,
    Trust,
)

__all__ = [
    "Box",
    "Credentials",
    "CredentialsState",
    "Exhibit",
    "ExhibitRole",
    "Face",
    "Failure",
    "Faithfulness",
    "Fetched",
    "Finding",
    "Floats",
    "Frame",
    "Image",
    "Label",
    "Media",
    "ModelId",
    "Moment",
    "Part",
    "Person",
    "Pointing",
    "Provenance",
    "Quality",
    "Reason",
    "Report",
    "Score",
    "Segment",
    "Settings",
    "SignedStep",
    "Timing",
    "Trust",
    "Unseen",
    "Variant",
    "Verdict",
]
