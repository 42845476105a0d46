"""Scores of other people's detectors."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from unmask.errors import ManifestError
from unmask.lab.data.manifest import Item
from unmask.lab.evaluation.evaluate import evaluate_detectors
from unmask.lab.evaluation.foreign import ForeignScores, read_scores


def items(folder: Path) -> list[Item]:
    rows = (("a.jpg", 0), ("b.jpg", 0), ("deep/c.jpg", 1), ("d.jpg", 1))
    return [Item(n, y, "set", "test", n, path=folder / n) for n, y in rows]


def scores(folder: Path, text: str) -> ForeignScores:
    path = folder / "their.csv"
    path.write_text(text)
    return read_scores(path)


def test_paths_of_all_kinds_find_their_items(tmp_path: Path) -> None:
    found = scores(
        tmp_path,
        f"path,score,note\n{tmp_path}/a.jpg,0.1,x\nb.jpg,0.2,\ndeep/c.jpg,0.9,\nd.jpg,1,\nother.jpg,0,\n",
    )
    assert found.of(items(tmp_path)) == pytest.approx([0.1, 0.2, 0.9, 1], abs=1e-6)


def test_frames_are_put_together_as_a_scan_does(tmp_path: Path) -> None:
    found = scores(tmp_path, "id,frame,score\na,0,0.9\na,1,0.5\n")
    odds = (math.log(9) + 0) / 2
    item = Item("a", 1, "set", "test", "a")
    assert found.of([item])[0] == pytest.approx(1 / (1 + math.exp(-odds)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,score\na.jpg,0.1\na.jpg,0.2\n", "line 3: a.jpg has a score already, line 2"),
        ("path,score\na.jpg,1.5\n", "between 0 and 1, but is '1.5'"),
        ("path,score\na.jpg,nan\n", "but is 'nan'"),
        ("path,score\na.jpg\n", "but is None"),
        ("path,score\n,0.5\n", "line 2: no path"),
        ("file,score\na.jpg,0.5\n", "needs the columns path"),
        ("", "needs the columns path"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ManifestError, match=words.replace("(", r"\(")):
        scores(tmp_path, text)


def test_items_without_a_score_are_named(tmp_path: Path) -> None:
    found = scores(tmp_path, "path,score\na.jpg,0.1\nd.jpg,0.2\n")
    with pytest.raises(ManifestError, match=r"no score for 2 of 4 items: b.jpg, deep/c.jpg"):
        found.of(items(tmp_path))


def test_all_figures_come_for_them_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    work = [Item(f"{n}", n % 2, "set", "test", f"{n}", method="swap" * (n % 2)) for n in range(80)]
    lines = [f"{i.name},{min(max(rng.normal(0.3 + 0.4 * i.label, 0.2), 0), 1):.4f}" for i in work]
    one = scores(tmp_path, "\n".join(["id,score", *lines]) + "\n")
    (tmp_path / "other.csv").write_text("\n".join(["id,score", *lines[::-1]]) + "\n")
    two = read_scores(tmp_path / "other.csv")
    found = evaluate_detectors({"one": one, "two": two}, work, tmp_path / "out")
    row = found.metrics["one"]["overall"]
    assert row["auc"] > 0.85
    assert found.metrics["one"]["model"]["name"] == "their"
    assert found.pairs[0]["difference"] == 0.0
    assert (
        json.loads((tmp_path / "out" / "one" / "metrics.json").read_text())["fake_threshold"] == 0.5
    )


def test_the_command(tmp_path: Path, demo: Path) -> None:
    manifest, theirs = tmp_path / "m.csv", tmp_path / "theirs.csv"
    manifest.write_text(f"path,label\n{demo}/1-photograph.jpg,real\n{demo}/2-generated.jpg,fake\n")
    theirs.write_text(f"path,score\n{demo}/1-photograph.jpg,0.2\n{demo}/2-generated.jpg,0.7\n")
    command = [sys.executable, "-m", "unmask", "evaluate", str(theirs), "--data", str(manifest)]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "1.000" in done.stdout
    refused = subprocess.run(
        [*command, "--out", "x", "--crops", "--stress"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "is scores" in refused.stderr
