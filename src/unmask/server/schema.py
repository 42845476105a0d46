"""The shapes of requests and answers, as OpenAPI tells of them. Answers are not built from these, but tests hold them
against these."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from unmask.server.desk import Status
from unmask.types import Label, Reason, Stage


class Shape(BaseModel):
    """More keys may come later."""

    model_config = ConfigDict(extra="allow")


class VerdictShape(Shape):
    """One of four labels, with reasons."""

    label: Label
    probability_fake: float | None = Field(ge=0, le=1)
    reasons: list[Reason]
    prevalence: float | None = None
    probability_fake_at_prevalence: float | None = None


class MediaShape(Shape):
    """The file, and what was read of it. path: the name it was sent with."""

    path: str
    sha256: str
    kind: Literal["image", "video"]
    width: int
    height: int
    duration_s: float | None
    fps: str | None
    frames_read: int
    read_share: float
    notes: list[str]


class FaceShape(Shape):
    """A face in a frame. box: x0, y0, x1, y1 in pixels of the frame. heatmap, corners: if asked to explain."""

    frame: int
    time_s: float
    box: list[float] = Field(min_length=4, max_length=4)
    probability_fake: float | None
    quality: dict[str, Any] | None
    heatmap: list[list[float]] | None = None
    corners: list[list[float]] | None = None


class PersonShape(Shape):
    """One human being in the file."""

    id: int
    verdict: VerdictShape
    faces: list[FaceShape]


class ReportShape(Shape):
    """What `unmask scan --json` prints; docs/json.md explains each key."""

    schema_: Literal["unmask.report/1"] = Field(alias="schema")
    media: MediaShape
    verdict: VerdictShape
    people: list[PersonShape]
    model: dict[str, str]
    provenance: dict[str, Any]
    settings: dict[str, Any]
    timing_s: dict[str, float]


class ErrorShape(BaseModel):
    """kind: for programs; message: for people."""

    kind: str
    message: str


class ProblemShape(BaseModel):
    """The one shape of all errors."""

    error: ErrorShape

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"error": {"kind": "unknown_format", "message": "neither a picture nor a video"}}]
        }
    )


class ProgressShape(BaseModel):
    """How far a scan has come. frames: looked at, of at most frames_asked; faces: found so far."""

    stage: Stage
    frames: int
    frames_asked: int
    faces: int


class ScanShape(BaseModel):
    """A scan. position: files before it in the queue; report: once it is done; error: where it failed."""

    id: str
    status: Status
    position: int = 0
    progress: ProgressShape | None = None
    report: ReportShape | None = None
    error: ErrorShape | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "Zq3yD0v2m8bqkYk1n5tGxw",
                    "status": "running",
                    "position": 0,
                    "progress": {"stage": "looking", "frames": 12, "frames_asked": 32, "faces": 12},
                }
            ]
        }
    )


class ModelShape(Shape):
    """A model that scans can ask for. card: what its maker says of it (docs/bundle.md)."""

    name: str
    bundle: str
    version: str
    sha256: str
    card: dict[str, Any]


class ModelsShape(BaseModel):
    """The first is the default."""

    models: list[ModelShape]


class LimitsShape(BaseModel):
    """What one file may be, and how long results are kept."""

    version: str
    upload_bytes: int
    pixels: int
    duration_s: float
    frames: int
    time_s: float
    keep_s: float


class StateShape(BaseModel):
    """ok, or why not."""

    status: str
