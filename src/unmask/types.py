"""The words of unmask: Media → Frame → Face → Score → Verdict → Report, and Person.

Frozen values that flow one way. Images are RGB, uint8, (height, width, 3), read-only; boxes are xyxy in pixels of the
frame; times are seconds; there is one polarity: the probability that a face is *fake*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""(height, width, 3), RGB."""

Floats = npt.NDArray[np.float32]

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels of the frame; may reach over its border."""


class Label(StrEnum):
    """The four verdicts."""

    REAL = "real"
    FAKE = "fake"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not_applicable"


class Reason(StrEnum):
    """Why a verdict is what it is. docs/verdicts.md explains each code."""

    # what was found
    ABOVE_FAKE_THRESHOLD = "above_fake_threshold"
    BELOW_REAL_THRESHOLD = "below_real_threshold"
    BETWEEN_THRESHOLDS = "between_thresholds"
    FEW_FRAMES = "few_frames"
    MIXED_PEOPLE = "mixed_people"
    # why faces could not be judged
    NO_FACE = "no_face"
    FACE_TOO_SMALL = "face_too_small"
    FACE_TOO_DARK = "face_too_dark"
    FACE_TOO_BRIGHT = "face_too_bright"
    FACE_TOO_BLURRED = "face_too_blurred"
    FACE_CUT_OFF = "face_cut_off"
    FACE_UNFAMILIAR = "face_unfamiliar"
    # what limits the judgement
    SOME_FACES_UNUSABLE = "some_faces_unusable"
    MOSTLY_UNUSABLE = "mostly_unusable"
    MEDIA_TRUNCATED = "media_truncated"


@dataclass(frozen=True, slots=True)
class Media:
    """A file, and what was read of it.

    duration_s and fps are None for pictures. read_share is the part of the file that could be read, in [0, 1]: below 1
    for a truncated one. frames_read counts the frames that were looked at.
    """

    path: str
    sha256: str
    kind: Literal["image", "video"]
    width: int
    height: int
    duration_s: float | None = None
    fps: Fraction | None = None
    frames_read: int = 0
    read_share: float = 1.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a file. index counts frames of the file from 0, in the order of their display."""

    index: int
    time_s: float
    image: Image

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(
                f"a frame is uint8 of shape (height, width, 3), but got {self.image.dtype} {self.image.shape}"
            )
        self.image.flags.writeable = False


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a face can be seen, measured on the crop that the bundle sees.

    size_px: shorter side of the face box in pixels of the frame. brightness: mean luma, 0–255. sharpness: variance of
    the Laplacian of the luma at 112×112, so that it does not depend on the crop's size. inside: share of the box that
    lies in the frame, 0–1. unusable: why the face is not judged, or None. novelty: how far the face lies from those the
    bundle was trained on, in the bundle's own features (see `unmask.lab.familiar`), or None where it does not tell.
    """

    size_px: float
    brightness: float
    sharpness: float
    inside: float
    unusable: Reason | None = None
    novelty: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A face in a frame. landmarks: (5, 2) float32, pixels of the frame, in the order right eye, left eye, nose, right
    and left corner of the mouth (right: the person's own), or None where the finder gives none. confidence: of the
    finder, 0–1."""

    frame: int
    time_s: float
    box: Box
    confidence: float
    landmarks: Floats | None = None
    quality: Quality | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """What the bundle says of one face. probability_fake is calibrated; logit is the bundle's raw output.
    heatmap: (h, w) float32, the part of each place in the logit (its mean is the logit), or None if not asked for.
    A face that could not be judged has a Score with both None, and its quality says why."""

    face: Face
    logit: float | None
    probability_fake: float | None
    heatmap: Floats | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One of four labels, with reasons. probability_fake is None where nothing could be judged."""

    label: Label
    probability_fake: float | None
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """The faces of one human being in one file, in order of time."""

    id: int
    verdict: Verdict
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class ModelId:
    """Which bundle judged. sha256 is that of the whole file."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the file says of itself: plain names (software, camera, created, …) and its words. Claims, not proof."""

    said: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of work in each stage. Stages overlap, so their sum may exceed total, the time on the clock."""

    decode: float = 0.0
    find: float = 0.0
    score: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """All that a scan of one file found."""

    media: Media
    verdict: Verdict
    people: tuple[Person, ...]
    model: ModelId
    provenance: Provenance = Provenance()
    timing_s: Timing = Timing()


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be judged for a fault of the file. kind as in `MediaError.kind`."""

    path: str
    kind: str
    message: str
