"""Archives made by code, and their ledgers without times."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unmask.archive import read_ledger

COMMAND = [sys.executable, "-m", "unmask"]


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def contents(
    ledger: Path, columns: str = "path, sha256, state, label, probability_fake, error_kind"
) -> list[Any]:
    """The ledger without times and runs."""
    with closing(read_ledger(ledger)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        return [
            tuple(row) for row in database.execute(f"SELECT {columns} FROM results ORDER BY path")
        ]


def reports(ledger: Path) -> list[Any]:
    with closing(read_ledger(ledger)) as database:
        found = database.execute("SELECT sha256, report FROM reports ORDER BY sha256").fetchall()
    trees = [json.loads(row["report"]) for row in found]
    return [
        {key: value for key, value in tree.items() if key not in ("timing_s", "media")}
        for tree in trees
    ]


def pictures(folder: Path, count: int, side: int = 64) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(
            folder / f"{number:03}.png"
        )
    return folder
