"""From a file to what is said of a face: Media → Frame → Face → Score → Verdict."""

from __future__ import annotations

from dataclasses import dataclass
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
    FAKE_SEGMENT = "fake_segment"
    ONE_OF_MANY = "one_of_many"
    UNSTABLE = "unstable"
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
    FACES_LEFT_OUT = "faces_left_out"
    PARTLY_UNSEEN = "partly_unseen"


class Part(StrEnum):
    """What of a file may go unseen."""

    REST = "rest"
    PAGES = "pages"
    PICTURES = "pictures"
    STREAMS = "streams"
    CLIP = "clip"
    FRAMES = "frames"
    FACES = "faces"


@dataclass(frozen=True, slots=True)
class Unseen:
    """A part of a file, with pictures in it, that was not looked at.

    - part: what it is: `rest`, of a file that ends too early or is broken from somewhere on;
      `pages` of a document; further `pictures` of a file that shows one; further `streams` of a
      video; a `clip` inside of a picture; `frames` that could not be decoded; `faces` of a crowd
    - count: how many, or None where that is not known
    - note: the same in words
    """

    part: Part
    count: int | None
    note: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """Where a file came from that was fetched by its link.

    - url: as it was given
    - final_url: where redirects led
    - at: when it was fetched, in UTC: 2026-11-26T14:00:00Z
    """

    url: str
    final_url: str
    at: str


@dataclass(frozen=True, slots=True)
class Media:
    """A file, and what was read of it.

    - path: as it was given
    - sha256: of its content, in hexadecimal
    - kind: `image` or `video`, by its content
    - width, height: in pixels, upright
    - duration_s: seconds; None for pictures
    - fps: frames per second, exact (30000/1001, never 29); None for pictures
    - frames_read: frames that were looked at
    - longest_gap_s: of a video: the longest time between two looks, or to its beginning or end
    - read_share: part of the file that could be read, 0–1; below 1 for a truncated one
    - notes: what a reader should know about how it was read
    - unseen: parts that were not looked at; the report's notes say so too
    - fetched: where it was fetched from; None for a file that was at hand
    """

    path: str
    sha256: str
    kind: Literal["image", "video"]
    width: int
    height: int
    duration_s: float | None = None
    fps: Fraction | None = None
    frames_read: int = 0
    longest_gap_s: float | None = None
    read_share: float = 1.0
    notes: tuple[str, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    fetched: Fetched | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a file.

    - index: counts the frames of the file from 0, in the order of their display
    - time_s: when it is shown, seconds from the beginning
    - image: (height, width, 3) uint8 RGB, read-only
    """

    index: int
    time_s: float
    image: Image

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(
                f"a frame is uint8 of shape (height, width, 3), but got {self.image.dtype}"
                f" {self.image.shape}"
            )
        self.image.flags.writeable = False


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a face can be seen, measured on the crop that the bundle sees.

    - size_px: shorter side of the face box in pixels of the frame
    - brightness: mean luma, 0–255
    - sharpness: variance of the Laplacian of the luma at 112×112, so that it does not depend on the
      crop's size
    - inside: share of the box that lies in the frame, 0–1
    - unusable: why the face is not judged, or None
    - novelty: how far the face lies from those the bundle was trained on, in the bundle's own
      features (see `unmask.lab.models.novelty`), or None where it does not tell
    """

    size_px: float
    brightness: float
    sharpness: float
    inside: float
    unusable: Reason | None = None
    novelty: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A face in a frame.

    - frame: the frame's index
    - time_s: when the frame is shown, seconds from the beginning of the file
    - box: x0, y0, x1, y1 in pixels of the frame; may reach over its border
    - landmarks: (5, 2) float32, pixels of the frame, in the order right eye, left eye, nose, right
      and left corner of the mouth (right: the person's own), or None where the finder gives none
    - confidence: of the finder, 0–1
    - quality: how well it can be seen; None until it was measured
    - id: its number among the faces of the file, from 0, in the order in which they were found; −1
      until the detector numbers it
    """

    frame: int
    time_s: float
    box: Box
    confidence: float
    landmarks: Floats | None = None
    quality: Quality | None = None
    id: int = -1

    @property
    def area_px(self) -> float:
        """Area of the box, in square pixels of the frame."""
        x0, y0, x1, y1 = self.box
        return (x1 - x0) * (y1 - y0)

    @property
    def shorter_side_px(self) -> float:
        """Shorter side of the box, in pixels of the frame."""
        x0, y0, x1, y1 = self.box
        return min(x1 - x0, y1 - y0)


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """What the bundle says of one face.

    - face: which one, and where
    - logit: the bundle's raw output; rises with the probability of fake
    - probability_fake: calibrated, 0–1
    - heatmap: (h, w) float32, the part of each place in the logit (its mean is the logit), or None
      if not asked for
    - corners: (4, 2) float32, the square that it covers in pixels of the frame, clockwise from its
      upper left, with it
    - quick: whether the slow part of a bundle that has one did not see this face itself; the score
      is then moved as far as it moved the person's other faces

    A face that could not be judged has a Score with both None, and its quality says why.
    """

    face: Face
    logit: float | None
    probability_fake: float | None
    heatmap: Floats | None = None
    corners: Floats | None = None
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """One of four labels, with reasons.

    - label: `real`, `fake`, `inconclusive` or `not_applicable`
    - probability_fake: 0–1; None where nothing could be judged
    - reasons: why, the most important first
    """

    label: Label
    probability_fake: float | None
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """The probability of fake around a moment, from the faces near it.

    - time_s: of a judged face
    - probability_fake: 0–1
    - low, high: its 95 % interval, which shows how much the model's answers differ from frame to
      frame, not how far the model may be wrong as a whole
    """

    time_s: float
    probability_fake: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A time in which a face looks fake.

    - start_s, end_s: seconds from the start of the file
    - within_s: how far each end may lie from the truth, as nothing was looked at in between
    - probability_fake: of the faces in it taken together, 0–1
    - faces: how many were judged in it
    - share: theirs of all judged faces of the person
    """

    start_s: float
    end_s: float
    within_s: float
    probability_fake: float
    faces: int
    share: float


@dataclass(frozen=True, slots=True)
class Variant:
    """A person judged again after a mild change of the pictures (`unmask.analysis.stability`).

    - change: what was done, e.g. `saved again (JPEG 80)`
    - probability_fake, label: the verdict afterwards
    """

    change: str
    probability_fake: float
    label: Label


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Whether a heat map names the places that the score rests on (`unmask.analysis.faithfulness`).

    - shares: parts of the face, from 0 to 1
    - deletion: the logit with that part, as the map names it, taken away
    - insertion: with it alone left
    - random_deletion, random_insertion: the mean of the same over the random maps
    - trials: how many random maps there were
    - effect: insertion less deletion, the mean between the ends
    - random_effect: of the random maps
    - p: the share of maps, this one among them, with at least its effect
    - faithful: whether that is small enough
    """

    shares: tuple[float, ...]
    deletion: tuple[float, ...]
    insertion: tuple[float, ...]
    random_deletion: tuple[float, ...]
    random_insertion: tuple[float, ...]
    effect: float
    random_effect: float
    p: float
    trials: int
    faithful: bool


@dataclass(frozen=True, slots=True)
class Pointing:
    """How often the heat maps of a bundle point at what was forged, where that is known.

    Measured on real faces of which a part was forged for it: the map's highest place lies in that
    part (the pointing game of Zhang et al., IJCV 2018).

    - faces: how many there were
    - rate: of them, the share that the maps hit
    - middle: the share that the middle of the crop hits, whatever the face
    """

    faces: int
    rate: float
    middle: float


ExhibitRole = Literal["strongest", "middle", "weakest"]


@dataclass(frozen=True, slots=True, eq=False)
class Exhibit:
    """A face to be shown, with why it was judged so.

    - score: of the face that is shown
    - role: `strongest`, `middle` or `weakest` evidence for fake
    - crop: (size, size, 3), what the bundle saw
    - picture: the frame as JPEG, at most PICTURE_SIDE wide and high
    - corners: (4, 2), where the crop's corners lie in `picture`, clockwise from its upper left
    - faithfulness: None where no heat map was asked for
    - pointing: of the bundle's maps, where they are known to point at forged parts
    """

    score: Score
    role: ExhibitRole
    crop: Image
    picture: bytes | None
    corners: Floats | None
    faithfulness: Faithfulness | None = None
    pointing: Pointing | None = None

    @property
    def map_shown(self) -> bool:
        """Whether its heat map may be shown: it passed its own test, or such maps are known."""
        passed = self.faithfulness is not None and self.faithfulness.faithful
        return passed or self.pointing is not None
