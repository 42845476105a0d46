"""`Detector.scan`: the one path from a file to a report. All that judges files calls it."""

from __future__ import annotations

from unmask.detector.detector import DEFAULT_FRAMES, Detector, load_detector
from unmask.detector.extract import MAX_JUDGED
from unmask.detector.progress import Progress, Stage

__all__ = ["DEFAULT_FRAMES", "MAX_JUDGED", "Detector", "Progress", "Stage", "load_detector"]
