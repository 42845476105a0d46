"""Sample pictures and a clip that may be shared freely, each with its origin.

examples/make_demo.py made them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

__all__ = ["DemoFile", "demo_media"]


@dataclass(frozen=True, slots=True)
class DemoFile:
    """One file of the demo.

    - path: where it lies in the installed package
    - truth: what it is
    - origin: where it comes from and under which licence
    """

    path: Path
    truth: str
    origin: str


def demo_media() -> list[DemoFile]:
    """The files of the demo, in the order of their names."""
    folder = Path(str(files("unmask.demo")))
    origins = json.loads((folder / "origins.json").read_text())
    return [
        DemoFile(folder / name, row["truth"], row["origin"])
        for name, row in sorted(origins.items())
    ]
