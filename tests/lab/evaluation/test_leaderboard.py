"""The table that grows: lines of detectors, added and replaced."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from unmask.cli import app
from unmask.errors import ManifestError
from unmask.lab.data.manifest import Item, write_manifest
from unmask.lab.evaluation.evaluate import Scores, measure
from unmask.lab.evaluation.foreign import read_scores
from unmask.lab.evaluation.leaderboard import (
    COLUMNS,
    Row,
    add_to_leaderboard,
    leaderboard_rows,
)

DAY = date(2026, 11, 27)


def frames() -> list[Item]:
    """Three frames each of twenty clips, half of them fake by two methods."""
    methods = {0: "", 1: "swap", 2: "lips"}
    items = []
    for clip in range(20):
        kind = 0 if clip % 2 == 0 else 1 + clip // 2 % 2
        name = f"clip-{clip}"
        items += [
            Item(name, int(kind > 0), "set", "test", name, method=methods[kind]) for _ in range(3)
        ]
    return items


def rows_of(name: str, noise: float, folder: Path) -> list[Row]:
    items = frames()
    rng = np.random.default_rng(1)
    scores = np.array([0.3 + 0.4 * item.label for item in items])
    scores = np.clip(scores + rng.normal(0, noise, len(items)), 0.01, 0.99)
    path = folder / f"{name}.csv"
    path.write_text(f"id,score\n{name},0.5\n")
    judge = read_scores(path)
    return leaderboard_rows(name, measure(judge, items, Scores(scores, [""] * len(items))), DAY)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_line_for_each_level_and_each_method(tmp_path: Path) -> None:
    rows = rows_of("theirs", 0.3, tmp_path)
    found = {(row["level"], row["method"]): row for row in rows}
    assert set(found) == {("rows", ""), ("videos", ""), ("rows", "swap"), ("rows", "lips")}
    frame, video = found["rows", ""], found["videos", ""]
    assert (frame["n_real"], frame["n_fake"]) == ("30", "30")
    assert (video["n_real"], video["n_fake"]) == ("10", "10")
    assert float(frame["auc_low"]) < float(frame["auc"]) < float(video["auc"])
    assert found["rows", "swap"]["n_fake"] == "15"
    assert all(row["measured_on"] == "2026-11-27" for row in rows)


def test_the_file_grows_and_what_was_there_is_replaced(tmp_path: Path) -> None:
    board = tmp_path / "board.csv"
    first, second = rows_of("sure", 0.1, tmp_path), rows_of("guessing", 2.0, tmp_path)
    add_to_leaderboard(board, first)
    add_to_leaderboard(board, second)
    assert len(read(board)) == len(first) + len(second)
    later = [row | {"auc": "0.4000", "measured_on": "2026-12-01"} for row in second]
    add_to_leaderboard(board, later)
    assert len(read(board)) == len(first) + len(second)
    assert {row["measured_on"] for row in read(board) if row["detector"] == "guessing"} == {
        "2026-12-01"
    }
    table = board.with_suffix(".md").read_text().splitlines()
    assert table[0] == "| AUC | set, rows | set, videos | set, lips, rows | set, swap, rows |"
    assert [line.split(" | ")[0] for line in table[2:]] == ["| guessing", "| sure"]
    assert "**" not in table[2]
    assert table[3].count("**") == 8


def test_another_file_is_not_overwritten(tmp_path: Path) -> None:
    board = tmp_path / "board.csv"
    board.write_text("name,points\nsomebody,3\n")
    with pytest.raises(ManifestError, match=r"no leaderboard of ours.*name, points"):
        add_to_leaderboard(board, rows_of("theirs", 0.3, tmp_path))
    assert board.read_text().startswith("name,points")


def test_the_command(tiny_bundle: Path, demo: Path, tmp_path: Path) -> None:
    items = [
        Item(str(n), n % 2, "demo", "test", str(n), data=(demo / name).read_bytes())
        for n, name in enumerate(("1-photograph.jpg", "2-generated.jpg"))
    ]
    write_manifest(items, tmp_path / "data.parquet")
    board = tmp_path / "board.csv"
    command = ["evaluate", str(tiny_bundle), "--crops", "--data", str(tmp_path / "data.parquet")]
    command += ["--out", str(tmp_path / "out"), "--leaderboard", str(board)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert f"added to {board}" in done.output.replace("\n", "")
    [row] = read(board)
    assert tuple(row) == COLUMNS
    assert (row["data"], row["n_real"], row["n_fake"]) == ("demo", "1", "1")
    assert row["sha256"]
    # with another suffix the table of AUCs would lie where the lines should
    other = tmp_path / "other.md"
    assert CliRunner().invoke(app, [*command[:-1], str(other)]).exit_code == 2
    assert not other.exists()
