"""unmask tells whether a face in an image or a video was faked, and shows the evidence.

import unmask
report = unmask.load_detector("default").scan("clip.mp4", explain=True)
report.verdict.label, report.verdict.probability_fake
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unmask.detector import Detector, load_detector
    from unmask.errors import UnmaskError
    from unmask.types import Failure, Label, Report

__version__ = "0.1.0"

__all__ = ["Detector", "Failure", "Label", "Report", "UnmaskError", "__version__", "load_detector"]

_HOMES = {
    "Detector": "unmask.detector",
    "Failure": "unmask.types",
    "Label": "unmask.types",
    "Report": "unmask.types",
    "UnmaskError": "unmask.errors",
    "load_detector": "unmask.detector",
}


def __getattr__(name: str) -> Any:
    # imported on first use, so that `import unmask` and `unmask --help` start in a blink
    if name not in _HOMES:
        raise AttributeError(f"module 'unmask' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
