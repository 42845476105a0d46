"""The shape of a report as JSON, schema unmask.report/1: the one place where its keys are declared.

`report/json.py` fills it (mypy compares), the server's models use it, and the published schema
(docs/unmask.report-1.schema.json) and the table in docs/json.md are generated from it. Keys are
added, never renamed, within a schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

# pydantic, which the server builds its models with, asks for this one up to Python 3.11
from typing_extensions import TypedDict, is_typeddict

from unmask.types import CredentialsState, Label, Reason

SCHEMA: Final = "unmask.report/1"

_PRIMITIVES: Mapping[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    NoneType: "null",
}


@dataclass(frozen=True, slots=True)
class Doc:
    """What a key means.

    - text: for people
    - low, high: bounds of a number, both included; None for no bound
    """

    text: str
    low: float | None = None
    high: float | None = None


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


class ExhibitJson(TypedDict):
    """A face that a report shows."""

    role: Literal["strongest", "middle", "weakest"]
    frame: int
    time_s: float
    heatmap_grade: NotRequired[Annotated[HeatmapTestJson, Doc("of those most suspected")]]


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


class CredentialsJson(TypedDict, total=False):
    """Content Credentials (C2PA); no list of trusted signers is used."""

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
    sha256: Annotated[str, Doc("of the keys above as compact JSON with sorted keys")]


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


def json_schema(shape: type = ReportJson) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a shape; further keys are allowed everywhere."""
    hints = get_type_hints(shape, include_extras=True)
    properties = {key: _schema_of(hint) for key, hint in hints.items()}
    return {
        "title": shape.__name__.removesuffix("Json"),
        "description": (shape.__doc__ or "").strip(),
        "type": "object",
        "properties": properties,
        "required": [key for key in hints if key in shape.__required_keys__],  # type: ignore[attr-defined]
    }


def published_schema() -> dict[str, Any]:
    """The schema of a line of `unmask scan --json`: a report, or an error."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "unmask.report-1.schema.json",
        "title": SCHEMA,
        "oneOf": [json_schema(ReportJson), json_schema(FailureJson)],
    }


@dataclass(frozen=True, slots=True)
class DescribedKey:
    """A key of a shape, for docs.

    - type: in words
    - meaning: in words; may be empty
    """

    name: str
    type: str
    meaning: str


@dataclass(frozen=True, slots=True)
class DescribedShape:
    """A shape, for docs.

    - path: where it stands in the report, as `people[].faces[]`
    - summary: what it is
    """

    path: str
    summary: str
    keys: tuple[DescribedKey, ...]


def described_keys(shape: type, path: str = "") -> Iterator[DescribedShape]:
    """A shape and all those within it, for docs."""
    keys: list[DescribedKey] = []
    inner: list[tuple[str, type]] = []
    for name, hint in get_type_hints(shape, include_extras=True).items():
        bare, doc = _unwrapped(hint)
        meaning = "" if doc is None else doc.text
        if get_origin(hint) is NotRequired:
            meaning = f"optional; {meaning}".rstrip("; ")
        keys.append(DescribedKey(name, _type_in_words(bare), meaning))
        nested = _nested_shape(bare)
        if nested is not None:
            mark = "[]" if get_origin(bare) is list else ""
            inner.append((f"{path}.{name}{mark}".lstrip("."), nested))
    yield DescribedShape(path, (shape.__doc__ or "").strip(), tuple(keys))
    for nested_path, nested in inner:
        yield from described_keys(nested, nested_path)


def _type_in_words(hint: Any) -> str:
    if hint in _PRIMITIVES:
        return _PRIMITIVES[hint]
    if is_typeddict(hint) or get_origin(hint) is dict:
        return "object"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return f"string ({hint.__name__.lower()})"
    return _generic_in_words(hint)


def _generic_in_words(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ", ".join(f"`{argument}`" for argument in arguments)
    if origin is list:
        return f"list of {_type_in_words(_unwrapped(arguments[0])[0])}"
    return " or ".join(_type_in_words(argument) for argument in arguments)


def _nested_shape(hint: Any) -> type | None:
    if is_typeddict(hint):
        shape: type = hint
        return shape
    for argument in get_args(hint):
        if is_typeddict(argument):
            found: type = argument
            return found
    return None


def _unwrapped(hint: Any) -> tuple[Any, Doc | None]:
    """The type within Annotated, Required and NotRequired, and what is said of it."""
    doc = None
    while get_origin(hint) in (Annotated, Required, NotRequired):
        for extra in getattr(hint, "__metadata__", ()):
            doc = extra if isinstance(extra, Doc) else doc
        hint = get_args(hint)[0]
    return hint, doc


def _schema_of(hint: Any) -> dict[str, Any]:
    bare, doc = _unwrapped(hint)
    schema = _bare_schema(bare)
    if doc is not None:
        if doc.text:
            schema["description"] = doc.text
        bounds = {"minimum": doc.low, "maximum": doc.high}
        schema |= {name: bound for name, bound in bounds.items() if bound is not None}
    return schema


def _bare_schema(hint: Any) -> dict[str, Any]:
    if hint in _PRIMITIVES:
        return {"type": _PRIMITIVES[hint]}
    if is_typeddict(hint):
        return json_schema(hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return {"enum": [str(member) for member in hint]}
    return _generic_schema(get_origin(hint), get_args(hint))


def _generic_schema(origin: Any, arguments: Sequence[Any]) -> dict[str, Any]:
    """Of a type with arguments: Literal[…], list[…], dict[…, …], … | …"""
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": _schema_of(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema_of(arguments[1])}
    if origin in (Union, UnionType):
        return {"anyOf": [_schema_of(argument) for argument in arguments]}
    raise TypeError(f"no JSON schema for {origin!r}")
