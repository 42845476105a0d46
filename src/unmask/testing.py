"""Fakes for the protocols, for tests of what is built on a detector.

No model, no picture of anyone, milliseconds.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any

import numpy as np

from unmask.archive import Coordinator, Outcome, ScanPass
from unmask.archive.fetch import Fetched, Fetcher
from unmask.bundle.card import REFUSING_NOTHING, SCHEMA, Card, parse_card
from unmask.bundle.session import Scored
from unmask.errors import MediaError
from unmask.faces.alignment import CANONICAL
from unmask.types import Face, Floats, Frame, Image, Label, ModelId, Settings

__all__ = [
    "FakeExecutor",
    "FakeFinder",
    "FakeScorer",
    "example_card",
    "fake_pass",
]


class FakeFinder:
    """Finds the same faces in every frame.

    boxes: xyxy; landmarks are put where an upright face has them.
    """

    name = "fake"

    def __init__(self, *boxes: tuple[float, float, float, float]) -> None:
        self._boxes = boxes

    def find(self, frame: Frame) -> list[Face]:
        """The faces, whatever the frame shows."""
        return [
            Face(frame.index, frame.time_s, box, 0.9, self._landmarks(box)) for box in self._boxes
        ]

    @staticmethod
    def _landmarks(box: tuple[float, float, float, float]) -> Floats:
        x0, y0, x1, y1 = box
        return (CANONICAL / 112 * [x1 - x0, y1 - y0] + [x0, y0]).astype(np.float32)


class FakeScorer:
    """Scores a crop by its brightness, (mean − 128) / 16: white is fake and black is real."""

    def __init__(self, card: Card | None = None) -> None:
        self.card = card or parse_card(example_card())
        self.id = ModelId(self.card.name, self.card.version, "0" * 64)

    def score(self, crops: Sequence[Image], *, explain: bool = False) -> Scored:
        """Logits (n,) and heat maps (n, 2, 2)."""
        logits = np.array([(crop.mean() - 128) / 16 for crop in crops], np.float32)
        return Scored(logits, np.repeat(logits, 4).reshape(-1, 2, 2) if explain else None, None)


class FakeExecutor:
    """An archive's executor without a model: a file's first byte is its probability, in 256ths.

    An empty file cannot be judged. judged: the paths that it was given and judged, in their order.
    """

    def __init__(self) -> None:
        self.judged: list[tuple[str, str]] = []

    def run(self, coordinator: Coordinator) -> Generator[Outcome]:
        """As `Executor.run`."""
        with TemporaryDirectory() as spool, Fetcher(Path(spool)) as fetcher:
            yield from self._run(coordinator, fetcher)

    def _run(self, coordinator: Coordinator, fetcher: Fetcher) -> Iterator[Outcome]:
        while not coordinator.stopping:
            tasks = coordinator.take()
            if not tasks:
                if coordinator.finished:
                    return
                sleep(0.001)
                continue
            files = []
            for task in tasks:
                try:
                    files.append(fetcher.fetch(task))
                except MediaError as error:
                    yield Outcome(
                        task.file,
                        None,
                        task.scan_pass,
                        error_kind=error.kind,
                        error_message=str(error),
                    )
            wanted = coordinator.decide([(file.task, file.sha256) for file in files])
            for file in files:
                if file.task.file in wanted:
                    self.judged.append((file.task.path, file.task.scan_pass))
                    yield self._outcome(file)
                file.discard()

    @staticmethod
    def _outcome(file: Fetched) -> Outcome:
        task, data = file.task, Path(file.path).read_bytes()
        p = data[0] / 256
        label = Label.FAKE if p >= 0.9 else Label.REAL if p <= 0.2 else Label.INCONCLUSIVE
        report = {
            "schema": "unmask.report/1",
            "media": {
                "path": task.path,
                "sha256": file.sha256,
                "kind": "image",
                "duration_s": None,
            },
            "verdict": {"label": label, "probability_fake": p, "reasons": ["between_thresholds"]},
            "timing_s": {
                "decode": 0.01,
                "find": 0.02,
                "score": 0.03,
                "evidence": 0.0,
                "total": 0.06,
            },
        }
        return Outcome(task.file, file.sha256, task.scan_pass, report)


def fake_pass(name: str = "example", frames: int = 32) -> ScanPass:
    """A pass with a bundle that does not exist."""
    digest = sha256(name.encode()).hexdigest()
    return ScanPass(name, "yunet", ModelId(name, "1", digest), Settings(frames))


def example_card(**changes: Any) -> dict[str, Any]:
    """A card without faults, whose gates let every face pass.

    changes: top-level keys to replace.
    """
    return {
        "schema": SCHEMA,
        "name": "example",
        "version": "1",
        "licence": "MIT",
        "made_by": {"command": "tests"},
        "positive_class": "fake",
        "preprocessing": {
            "size": 32,
            "margin": 1.0,
            "centre_y": 0.5,
            "interpolation": "linear",
            "alignment": "five_points",
            "colour_order": "RGB",
            "mean": [0.0, 0.0, 0.0],
            "std": [1.0, 1.0, 1.0],
        },
        "calibration": {"method": "temperature", "temperature": 1.0, "bias": 0.0},
        "thresholds": {
            "fake": {"probability": 0.9, "false_positive_rate": 0.01},
            "real": {"probability": 0.2, "false_negative_rate": 0.05},
        },
        "gates": dict(REFUSING_NOTHING),
        "canaries": {"seed": 1, "tolerance": 0.01, "logits": [0.0]},
        "training_data": [],
        "metrics": {},
        "intended_use": "tests",
        "limits": [],
        "evaluated_on": "2026-11-21",
        "graph_sha256": "0" * 64,
        **changes,
    }
