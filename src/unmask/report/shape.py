"""The shape of a report as JSON, schema unmask.report/1: the one place where its keys are declared.

`report/json.py` fills it (mypy compares), the server's models use it, and the published schema
(docs/unmask.report-1.schema.json) and the table in docs/json.md are generated from it. Keys are
added, never renamed, within a schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import (
    Annotated,
    Final,
    Literal,
    NotRequired,
    Required,
)

# pydantic, which the server builds its models with, asks for this one up to Python 3.11
from typing_extensions import TypedDict

from unmask.types import CredentialsState, Label, Part, Reason, Trust

SCHEMA: Final = "unmask.report/1"


@dataclass(frozen=True, slots=True)
class Doc:
    """What a key means.

    - text: for people
    - low, high: bounds of a number, both included; None for no bound
    """

    text: str
    low: float | None = None
    high: float | None = None


class UnseenJson(TypedDict):
    """A part of the file that was not looked at; such a file is never called `real`."""

    part: Annotated[
        Part,
        Doc(
            "`rest` of a file that ends too early, `pages`, further `pictures`, `streams`, a `clip`"
            " inside of a picture, `frames` that could not be decoded, `faces` of a crowd"
        ),
    ]
    count: Annotated[int | None, Doc("how many, if that is known", 1)]
    note: Annotated[str, Doc("the same in words; also among the notes")]


class FetchedJson(TypedDict):
    """Where a file came from that was fetched by its link."""

    url: Annotated[str, Doc("as it was given")]
    final_url: Annotated[str, Doc("where redirects led")]
    at: Annotated[str, Doc("when, in UTC: `2026-11-26T14:00:00Z`")]


class MediaJson(TypedDict):
    """The file, and what was read of it."""

    path: Annotated[str, Doc("as it was given; bytes that are not UTF-8 as `\\xNN`")]
    sha256: Annotated[str, Doc("of the file's content, in hexadecimal")]
    kind: Literal["image", "video"]
    width: Annotated[int, Doc("in pixels, as shown: upright, square pixels", 1)]
    height: Annotated[int, Doc("in pixels", 1)]
    duration_s: Annotated[float | None, Doc("of a video, in seconds", 0)]
    fps: Annotated[str | None, Doc("of a video: frames per second, as a fraction: `30000/1001`")]
    frames_read: Annotated[int, Doc("frames that were looked at", 0)]
    read_share: Annotated[
        float, Doc("part of the file that could be read; below 1: truncated", 0, 1)
    ]
    notes: Annotated[list[str], Doc("what a reader should know about how it was read")]
    longest_gap_s: NotRequired[
        Annotated[float, Doc("of a video: the longest time between two looks, in seconds", 0)]
    ]
    unseen: NotRequired[list[UnseenJson]]
    fetched: NotRequired[FetchedJson]


class FailedMediaJson(TypedDict):
    """A file that could not be judged."""

    path: Annotated[str, Doc("as it was given")]


class VerdictJson(TypedDict):
    """One of four labels, with reasons."""

    label: Label
    probability_fake: Annotated[float | None, Doc("null where nothing was judged", 0, 1)]
    reasons: Annotated[list[Reason], Doc("explained in verdicts.md")]
    prevalence: NotRequired[Annotated[float, Doc("with `--prevalence`: the share given", 0, 1)]]
    probability_fake_at_prevalence: NotRequired[
        Annotated[float | None, Doc("the probability where that share of files is fake", 0, 1)]
    ]


class QualityJson(TypedDict):
    """How well a face can be seen."""

    size_px: Annotated[float, Doc("shorter side of the face's box, in pixels of the frame")]
    brightness: Annotated[float, Doc("mean luma", 0, 255)]
    sharpness: Annotated[float, Doc("variance of the Laplacian at 112×112", 0)]
    inside: Annotated[float, Doc("share of the box that lies within the frame", 0, 1)]
    novelty: Annotated[
        float | None,
        Doc("distance from the training faces, 1 at the edge of the known; null if not measured"),
    ]
    unusable: Annotated[Reason | None, Doc("why the face was set aside, or null")]


class FaceJson(TypedDict):
    """A face in a frame."""

    frame: Annotated[int, Doc("the frame's number, from 0", 0)]
    time_s: Annotated[float, Doc("when the frame is shown, in seconds")]
    box: Annotated[
        list[float], Doc("x0, y0, x1, y1 in pixels of the frame; may reach over its border")
    ]
    probability_fake: Annotated[float | None, Doc("null if the face was set aside", 0, 1)]
    quality: QualityJson | None
    heatmap: NotRequired[
        Annotated[
            list[list[float]],
            Doc("with `--explain`: rows of the class-activation map; its mean is the logit"),
        ]
    ]
    corners: NotRequired[
        Annotated[
            list[list[float]],
            Doc("with `--explain`: corners of the map in the frame, clockwise from its upper left"),
        ]
    ]
    quick: NotRequired[
        Annotated[
            bool,
            Doc("true if only the quick part of the model saw this face itself (`accurate`)"),
        ]
    ]


class SegmentJson(TypedDict):
    """A time in which a face looks fake."""

    start_s: float
    end_s: float
    within_s: Annotated[float, Doc("how far each end may lie from the truth")]
    probability_fake: Annotated[float, Doc("of the faces in it", 0, 1)]
    faces: Annotated[int, Doc("judged in it", 1)]


class MomentJson(TypedDict):
    """The probability around a moment."""

    time_s: float
    probability_fake: Annotated[float, Doc("from the faces around that time", 0, 1)]
    ci95: Annotated[list[float], Doc("its 95 % interval: low, high")]


class VariantJson(TypedDict):
    """A person judged again with perturbed pictures."""

    change: Annotated[str, Doc("what was done to the pictures")]
    probability_fake: Annotated[float, Doc("after it", 0, 1)]
    label: Annotated[Label, Doc("after it")]


class HeatmapTestJson(TypedDict):
    """Whether a heat map names the places that the score rests on (deletion and insertion)."""

    faithful: bool
    p: Annotated[float, Doc("share of maps that do as well, this one among them", 0, 1)]
    trials: Annotated[int, Doc("random maps it was compared with", 1)]
    effect: Annotated[float, Doc("insertion less deletion, in logits")]
    random_effect: Annotated[float, Doc("the same, mean of the random maps")]
    shares: Annotated[list[float], Doc("parts of the face, 0–1, for the curves below")]
    deletion: Annotated[list[float], Doc("logit with that part taken away")]
    insertion: Annotated[list[float], Doc("logit with that part alone left")]
    random_deletion: list[float]
    random_insertion: list[float]


class PointingJson(TypedDict):
    """How often such heat maps point at a forged part, on test faces where it is known."""

    faces: Annotated[int, Doc("test faces of which a known part was forged", 1)]
    rate: Annotated[float, Doc("share whose map is highest within that part", 0, 1)]
    middle: Annotated[float, Doc("the same of the middle of the face, whatever the face", 0, 1)]


class ExhibitJson(TypedDict):
    """A face that a report shows."""

    role: Literal["strongest", "middle", "weakest"]
    frame: int
    time_s: float
    heatmap_grade: NotRequired[Annotated[HeatmapTestJson, Doc("of those most suspected")]]
    heatmap_pointing: NotRequired[
        Annotated[
            PointingJson,
            Doc(
                "of faces at P ≥ 0.5, where the model's card says that its maps point at forged"
                " parts: they are shown whatever their own test says"
            ),
        ]
    ]


class PersonJson(TypedDict):
    """One human being in the file."""

    id: Annotated[int, Doc("from 1; the most often seen first", 1)]
    verdict: VerdictJson
    faces: list[FaceJson]
    segments: NotRequired[Annotated[list[SegmentJson], Doc("of videos")]]
    timeline: NotRequired[Annotated[list[MomentJson], Doc("of videos")]]
    stability: NotRequired[
        Annotated[
            list[VariantJson],
            Doc(
                "absent where nothing was judged again: no verdict, or one far from its threshold"
                " without `--explain`"
            ),
        ]
    ]
    exhibits: NotRequired[Annotated[list[ExhibitJson], Doc("with `--explain`")]]


class ModelJson(TypedDict):
    """The bundle that judged."""

    name: str
    version: str
    sha256: Annotated[str, Doc("of the bundle's file")]


class SignedStepJson(TypedDict):
    """One manifest in the history of a file."""

    signer: str
    generator: str
    signed_at: str
    actions: list[str]
    digital_source_type: str


class CredentialsJson(TypedDict, total=False):
    """Content Credentials (C2PA)."""

    state: Required[
        Annotated[
            CredentialsState,
            Doc(
                "`absent`: nearly all files, and the only key then; `tampered`: changed after"
                " signing"
            ),
        ]
    ]
    signer: str
    issuer: str
    generator: str
    signed_at: str
    actions: list[str]
    digital_source_type: str
    ai_generated: bool
    problems: Annotated[list[str], Doc("codes of the C2PA specification")]
    unchecked: Annotated[
        list[str], Doc("codes of what could not be checked offline: an identity in it (CAWG)")
    ]
    history: Annotated[
        list[SignedStepJson], Doc("the manifests from the oldest parent to the active one")
    ]
    trust: Annotated[
        Trust, Doc("whether the signer's certificate leads to the list named by `--trust`")
    ]
    trust_list_sha256: Annotated[str | None, Doc("of that list; null: none was named")]
    soft_bindings: Annotated[
        list[str], Doc("algorithms of watermarks or fingerprints that lead back to the manifest")
    ]


class ProvenanceJson(TypedDict, total=False):
    """What the file says of itself, as far as it says so: claims, not proof."""

    format: str
    codec: str
    software: str
    camera: str
    maker: str
    taken: str
    created: str
    generator: str
    comment: str
    credit: str
    created_with: str
    edited_with: str
    digital_source_type: str
    ai_generated: Required[Annotated[bool, Doc("it says that a generator made it")]]
    credentials: Required[CredentialsJson]
    traces: Required[Annotated[dict[str, str], Doc("what was noticed in it: codes and words")]]
    contradictions: Required[
        Annotated[list[str], Doc("where the file's words and the pixels disagree")]
    ]


class FindingJson(TypedDict):
    """Something that a further analyzer found."""

    analyzer: Annotated[str, Doc("who found it")]
    code: Annotated[str, Doc("for programs; `failed` where it could not be completed")]
    summary: Annotated[str, Doc("for people")]
    points_to: Annotated[Label | None, Doc("`real` or `fake`; null: says nothing about that")]
    probability_fake: Annotated[float | None, Doc("where the analyzer gives one", 0, 1)]


class SettingsJson(TypedDict):
    """What was asked for, as far as it changes the result."""

    frames: int
    faces: Annotated[str, Doc("the face finder")]
    engine: str
    stability: bool
    explain: bool
    sha256: Annotated[str, Doc("of the other keys as compact JSON with sorted keys (`faces` too)")]
    by_length: NotRequired[Annotated[bool, Doc("true where long videos get more than `frames`")]]


class TimingJson(TypedDict):
    """Seconds; the stages are work and overlap, `total` is time on the clock."""

    decode: float
    find: float
    score: float
    evidence: float
    total: float


class ReportJson(TypedDict):
    """The report of one file."""

    schema: Literal["unmask.report/1"]
    media: MediaJson
    verdict: VerdictJson
    people: Annotated[list[PersonJson], Doc("the most often seen first")]
    model: ModelJson
    provenance: ProvenanceJson
    findings: NotRequired[
        Annotated[
            list[FindingJson], Doc("of analyzers that other packages bring, if there are any")
        ]
    ]
    settings: SettingsJson
    timing_s: TimingJson


class ErrorJson(TypedDict):
    """Why a file could not be judged."""

    kind: Annotated[str, Doc("for programs; the kinds are listed below")]
    message: Annotated[str, Doc("for people")]


class FailureJson(TypedDict):
    """A file that could not be judged."""

    schema: Literal["unmask.report/1"]
    media: FailedMediaJson
    error: ErrorJson
