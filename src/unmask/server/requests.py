"""What the server asks of its worker processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What a worker loads, and what it may take.

    - models: bundles (a shipped one's name or a file) by the names that requests use
    - faces: a face finder, as `load_finder` takes it
    - engine: what runs the bundles
    - device: where they run
    - max_pixels: larger pictures and frames are refused
    - max_duration_s: longer videos are refused
    - time_s: for judging one file
    - memory_bytes: for one file, beyond the models
    """

    models: Mapping[str, str]
    faces: str
    engine: str
    device: str
    max_pixels: int
    max_duration_s: float
    time_s: float
    memory_bytes: int

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """One file to be judged.

    - path: where a worker can open it
    - name: what its sender calls it
    - model: one of `WorkerConfig.models`
    - frames, explain, stability: as `Detector.scan` takes them
    - prevalence: the sender's share of fakes, or None
    - fetched: where the file was fetched from (`unmask.types.Fetched`), or None
    """

    path: str
    name: str
    model: str
    frames: int | None
    explain: bool
    stability: bool
    prevalence: float | None
    fetched: Mapping[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)
