"""The shapes of requests and answers, for OpenAPI.

Answers are not built from these; tests compare them.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, WithJsonSchema

from unmask.detector import Stage
from unmask.report.schema import json_schema
from unmask.report.shape import ReportJson
from unmask.server.jobs import Status


class Shape(BaseModel):
    """Keys may be added later."""

    model_config = ConfigDict(extra="allow")


class ErrorShape(BaseModel):
    """An error.

    - kind: for programs
    - message: for people
    """

    kind: str
    message: str


class ProblemShape(BaseModel):
    """The one shape of all errors."""

    error: ErrorShape

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"error": {"kind": "unknown_format", "message": "neither a picture nor a video"}}
            ]
        }
    )


class ProgressShape(BaseModel):
    """How far a scan has come.

    - frames: looked at, of at most frames_asked
    - faces: found so far
    """

    stage: Stage
    frames: int
    frames_asked: int
    faces: int


class ScanShape(BaseModel):
    """A scan.

    - position: files before it in the queue
    - report: once it is done
    - error: where it failed
    """

    id: str
    status: Status
    position: int = 0
    progress: ProgressShape | None = None
    report: Annotated[ReportJson, WithJsonSchema(json_schema())] | None = None
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
    """A model that scans can ask for.

    card: what its maker says of it (docs/bundle.md).
    """

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
    links: bool


class StateShape(BaseModel):
    """`ok`, or why not."""

    status: str
