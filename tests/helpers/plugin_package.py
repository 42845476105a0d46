"""An installed package that brings parts of its own, made in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from unmask._internal import plugins
from unmask.detector import further
from unmask.provenance import checks

CODE = '''
from unmask.lab.data.datasets.base import DataSet, Reading
from unmask.testing import FakeFinder, FakeScorer
from unmask.types import Finding, Label, Provenance


class Finder(FakeFinder):
    name = "everywhere"

    def __init__(self):
        super().__init__((20.0, 20.0, 100.0, 100.0))


def check(file):
    return Provenance(traces={"seen_by_plugin": f"has {len(file.tags)} tags"})


class Brightness:
    """A second kind of evidence: is the whole picture bright?"""

    name = "brightness"

    def begin(self, path, source):
        return Measured()


class Measured:
    def __init__(self):
        self.means = []

    def see(self, frame):
        self.means.append(float(frame.image.mean()))

    def findings(self):
        bright = sum(self.means) / len(self.means) > 128
        return [Finding(
            "brightness",
            "bright" if bright else "dark",
            f"the picture is {'bright' if bright else 'dark'}, seen in {len(self.means)} frames",
            Label.FAKE if bright else None,
        )]


class Broken:
    name = "broken"

    def begin(self, path, source):
        return self

    def see(self, frame):
        raise ZeroDivisionError

    def findings(self):
        return []


SET = DataSet("A set of nobody's", "ROOT/", "nowhere", "none", lambda root: Reading())
'''


def install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, points: Mapping[str, Mapping[str, str]]
) -> None:
    """Install the package `unmask_plugin` 1.2 with these entry points, by group and name."""
    (folder / "unmask_plugin.py").write_text(CODE)
    info = folder / "unmask_plugin-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: unmask-plugin\nVersion: 1.2\n")
    lines = []
    for group, entries in points.items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(folder)
    forget()


def forget() -> None:
    """What was installed is looked up again."""
    plugins.find_plugins.cache_clear()
    further.installed_analyzers.cache_clear()
    checks.all_checks.cache_clear()
