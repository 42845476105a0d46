from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unmask.archive import DEFAULT_CAUSES, FileFilter, Order, Outcome, Run, ScanPlan, open_source
from unmask.testing import FakeExecutor, fake_pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five files, two of them alike."""
    root = tmp_path / "archive"
    (root / "b").mkdir(parents=True)
    for name, data in (
        ("a.jpg", b"\xff1"),
        ("b/c.jpg", b"\x102"),
        ("b/d.png", b"\x803"),
        ("b/e.png", b"\xff1"),
    ):
        (root / name).write_bytes(data)
    (root / "f.mp4").write_bytes(b"\xf04")
    return root


Scan = Callable[..., tuple[dict[str, int], list[tuple[str, str]], list[Outcome]]]


@pytest.fixture
def scan(tmp_path: Path, folder: Path) -> Scan:
    """Scans the folder into one ledger, without a model: states, what was judged (name and look),
    the outcomes."""

    def run(**asked: Any) -> tuple[dict[str, int], list[tuple[str, str]], list[Outcome]]:
        passes = {"full": fake_pass(asked.get("model", "example"))}
        if "budget" in asked:
            passes = {"first": fake_pass(asked.get("first", "example"), frames=4), **passes}
        plan = ScanPlan(
            [open_source(str(root)) for root in asked.get("roots", [folder])],
            passes,
            asked.get("wanted", FileFilter()),
            asked.get("again", DEFAULT_CAUSES),
            asked.get("order", Order.LISTED),
            asked.get("budget"),
        )
        engine = asked.get("engine") or FakeExecutor()
        with Run(asked.get("ledger", tmp_path / "scan.ledger"), plan) as archive:
            outcomes = [outcome for _, outcome, _ in archive.outcomes(engine)]
            counts = archive.counts()
        return counts, [(Path(path).name, scan_pass) for path, scan_pass in engine.judged], outcomes

    return run
