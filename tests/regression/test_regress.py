"""Sets of known files, with a bundle that calls bright faces fake and dark ones real."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unmask import load_detector
from unmask.errors import ManifestError
from unmask.regression import add_known, compare, entry_of, read_known


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def files(demo: Path, tmp_path: Path) -> Path:
    """bright.png (called fake), dark.png (called real)."""
    face = np.asarray(Image.open(demo / "1-photograph.jpg").convert("RGB"))
    Image.fromarray((255 - (255 - face) * 0.3).astype(np.uint8)).save(tmp_path / "bright.png")
    Image.fromarray((face * 0.3).astype(np.uint8)).save(tmp_path / "dark.png")
    return tmp_path


def line(path: Path, expected: str, before: str | None = None, **more: Any) -> str:
    said = {"label": before, "probability_fake": 0.5, "model": "0" * 64}
    entry = {"sha256": digest(path), "expected": expected, "path": path.name, **more}
    return json.dumps(entry | ({"before": said} if before else {})) + "\n"


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "unmask", "regress", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("name", "expected", "before", "wrong", "change"),
    [
        ("bright.png", "real", "real", True, "worse"),
        ("bright.png", "real", "fake", True, "same"),
        ("bright.png", "real", None, True, "first"),
        ("bright.png", "fake", "real", False, "mended"),
        ("dark.png", "fake", "inconclusive", True, "worse"),
        ("dark.png", "real", "real", False, "same"),
    ],
)
def test_what_was_said_before_and_is_said_now(
    files: Path,
    tiny_bundle: Path,
    name: str,
    expected: str,
    before: str | None,
    wrong: bool,
    change: str,
) -> None:
    known = files / "known.jsonl"
    known.write_text(line(files / name, expected, before))
    (outcome,) = compare(load_detector(str(tiny_bundle)), read_known(known), files)
    assert (outcome.wrong, outcome.change) == (wrong, change)


def test_files_are_known_by_their_content(files: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    known = files / "known.jsonl"
    known.write_text(line(files / "dark.png", "real"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(files / "dark.png", elsewhere / "renamed.png")
    shutil.copy(files / "bright.png", files / "dark.png")  # another file of that name
    detector = load_detector(str(tiny_bundle))
    (outcome,) = compare(detector, read_known(known), files)
    assert (outcome.label, outcome.wrong) == ("missing", False)
    (outcome,) = compare(detector, read_known(known), files, [elsewhere])
    assert outcome.label == "real"


def test_a_file_is_added_once_with_what_was_said(files: Path, tiny_bundle: Path) -> None:
    known = files / "known.jsonl"
    report = load_detector(str(tiny_bundle)).scan(files / "bright.png")
    add_known(known, entry_of(report, "real", "a photograph"))
    (entry,) = read_known(known)
    assert (entry.expected, entry.note) == ("real", "a photograph")
    assert entry.before is not None
    assert entry.before["label"] == "fake"
    with pytest.raises(ManifestError, match="already"):
        add_known(known, entry_of(report, "real"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no file"),
        ("no json\n", "line 1: "),
        ("[]\n", "line 1: no JSON object"),
        ('{"sha256": "abc", "expected": "real"}\n', "64 hexadecimal digits"),
        ('{"sha256": "' + "a" * 64 + '", "expected": "maybe"}\n', "real or fake, but is 'maybe'"),
        (('{"sha256": "' + "a" * 64 + '", "expected": "real"}\n') * 2, "line 2: the same file"),
    ],
)
def test_what_is_wrong_in_a_set_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "known.jsonl").write_text(text)
    with pytest.raises(ManifestError, match=words):
        read_known(tmp_path / "known.jsonl")


def test_the_command(files: Path, tiny_bundle: Path) -> None:
    known = files / "known.jsonl"
    model = ("--model", tiny_bundle)
    added = run(known, "--add", files / "dark.png", "--expected", "real", *model)
    assert added.returncode == 0, added.stderr
    assert run(known, *model).returncode == 0
    with known.open("a") as file:
        file.write(line(files / "bright.png", "real", "real", note="accused"))
    done = run(known, *model)
    assert done.returncode == 1
    assert "WORSE" in done.stdout
    assert "accused" in done.stdout
    assert "2 files: 1 judged wrongly, 1 of them not before" in done.stdout
    rows = [json.loads(row) for row in run(known, "--json", *model).stdout.splitlines()]
    assert [row["change"] for row in rows] == ["same", "worse"]
    (files / "bright.png").unlink()
    assert run(known, *model).returncode == 3
    assert run(known, "--add", files / "dark.png").returncode == 2
