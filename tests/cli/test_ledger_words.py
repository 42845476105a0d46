from __future__ import annotations

import io

from rich.console import Console

from unmask.cli.tables import ledger_lines, ledger_table

ROW = {
    "name": "/media/2026/footage of a long name",
    "files": 1_234_567,
    "real": 1_000_000,
    "fake": 200_000,
    "inconclusive": 30_000,
    "not_applicable": 4_000,
    "failed": 567,
    "postponed": 0,
    "pending": 0,
}


def test_counts_are_read_at_80_columns() -> None:
    shown = io.StringIO()
    Console(file=shown, width=80).print(ledger_table("folder", [ROW]))
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in shown.getvalue()
    heading = lines[1]
    for word in ("folder", "files", "real", "fake", "inconclusive", "no face", "failed"):
        assert f" {word} " in heading
    assert "postponed" not in heading
    assert "1,234,567" in shown.getvalue()


def test_sizes_and_times_are_those_that_people_use() -> None:
    run = {
        "id": 1,
        "started_at": "2026-11-26T14:53:31+00:00",
        "ended_at": None,
        "judged": 3,
        "roots": ["in"],
        "how": None,
        "passed_over": {},
    }
    totals = {**ROW, "contents": 7, "bytes": 506_400, "video_s": 3.0, "gone": 0, "runs": [run]}
    words = list(ledger_lines(totals))
    assert words[0] == "1,234,567 files, 7 contents, 506.4 kB, 3 seconds of video"
    assert words[-1].startswith("run 1, 2026-11-26 14:53:31 UTC: 3 judged of in")
