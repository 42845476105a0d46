"""The examples and the notebook, run as a reader would run them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.lab import TINY
from unmask.lab.data.manifest import read_manifest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def run(name: str, *arguments: object) -> str:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_fact_checker(demo: Path, tmp_path: Path) -> None:
    told = run("fact_checker.py", demo / "5-generated.mp4", tmp_path / "out")
    assert "Reason:" in told
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [
        ".html",
        ".json",
        ".pdf",
    ]


def test_the_platform(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    rows = [json.loads(line) for line in run("many_files.py", demo, tmp_path).splitlines()]
    assert len(rows) == 7
    assert [row["error"]["kind"] for row in rows if "error" in row] == ["unknown_format"]


def test_the_researcher(demo: Path, tmp_path: Path) -> None:
    for kind, name in (
        ("real", "1-photograph.jpg"),
        ("fake", "2-generated.jpg"),
        ("fake", "4-swapped.jpg"),
    ):
        (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
        shutil.copy(demo / name, tmp_path / "data" / kind)
    told = run("researcher.py", tmp_path / "data", tmp_path / "out")
    assert "3 files, 2 of them fake" in told
    assert "files judged" in told
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.mark.slow
def test_training_at_scale_in_small(toy_set: Path, tmp_path: Path) -> None:
    """The script for whole data sets and GPUs, on a toy set with a toy network."""
    for item in read_manifest(toy_set):
        folder = tmp_path / "data" / ("fake" if item.label else "real")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / Path(item.name).name).write_bytes(item.data or b"")
    changes = [word for change in TINY for word in ("--set", change)]
    changes += ["--set", "train={epochs: 1, batch: 16, learning_rate: 0.003}"]
    script = [str(EXAMPLES / "train_at_scale.sh"), str(tmp_path / "out")]
    script += ["--files", str(tmp_path / "data"), "--recipe", "unmask-lite0", "--", *changes]
    environment = os.environ | {"UNMASK": f"{sys.executable} -m unmask"}
    for _ in range(2):  # the second time it resumes, and everything is there already
        done = subprocess.run(
            script, capture_output=True, text=True, timeout=600, check=False, env=environment
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "unmask-lite0.onnx").is_file()
    assert (tmp_path / "out" / "evaluation" / "comparison.json").is_file()
    usage = subprocess.run(script[:1], capture_output=True, text=True, check=False)
    assert usage.returncode == 2
    assert "--faceforensics DIR" in usage.stdout


@pytest.mark.slow
def test_the_student(toy_set: Path, demo: Path, tmp_path: Path) -> None:
    told = run("student.py", toy_set, tmp_path, demo / "2-generated.jpg", *TINY)
    assert (tmp_path / "mine.onnx").is_file()
    assert told.strip()


@pytest.mark.slow
def test_the_notebook() -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4)
    # what it shows is made where it is run
    assert all(not cell.get("outputs") for cell in notebook.cells)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    text = json.dumps([cell.get("outputs") for cell in notebook.cells])
    for expected in ("2-generated.jpg", "looks fake from", ".pdf", "mirrored", "image/png"):
        assert expected in text
