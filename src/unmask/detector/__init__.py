"""`Detector.scan`: the one path from a file to a report. Command line, evaluation and server all call it."""

from __future__ import annotations

from unmask.detector.look import MAX_JUDGED
from unmask.detector.scan import DEFAULT_FRAMES, Detector, load_detector

__all__ = ["DEFAULT_FRAMES", "MAX_JUDGED", "Detector", "load_detector"]
