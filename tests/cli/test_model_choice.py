"""Which model a scan uses: the best on this machine, unless it is told otherwise."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unmask.bundle import read_seal, seal
from unmask.bundle.registry import best_bundle, bundles_here
from unmask.cli import app


@pytest.fixture
def bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of bundles that were put together on this machine, empty as yet."""
    folder = tmp_path / "bundles"
    folder.mkdir()
    monkeypatch.setenv("UNMASK_BUNDLES", str(folder))
    return folder


@pytest.fixture
def portrait(demo: Path) -> Path:
    return demo / "2-generated.jpg"


def model_of_a_scan(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["scan", "--json", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return str(json.loads(done.stdout.splitlines()[0])["model"]["name"])


def test_the_larger_model_is_used_once_it_was_made(
    bundles: Path, portrait: Path, tiny_bundle: Path
) -> None:
    assert best_bundle() == "default"
    small = model_of_a_scan(portrait)
    assert small.startswith("unmask-lite0")

    shutil.copy(tiny_bundle, bundles / "accurate.onnx")  # stands in for the larger model
    assert best_bundle() == "accurate"
    assert bundles_here() == ["accurate", "default"]  # a server has both, and asks the first
    listed = CliRunner().invoke(app, ["models", "list"]).stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["accurate", "default"]
    larger = model_of_a_scan(portrait)
    assert larger != small

    # what is asked for is used
    assert model_of_a_scan("--fast", portrait) == small
    assert model_of_a_scan("--model", "default", portrait) == small
    assert model_of_a_scan("--model", "accurate", portrait) == larger


def test_many_files_are_judged_by_the_small_model(
    bundles: Path, portrait: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    shutil.copy(tiny_bundle, bundles / "accurate.onnx")
    ledger = tmp_path / "archive.ledger"
    assert model_of_a_scan("--ledger", ledger, portrait).startswith("unmask-lite0")


def test_fast_and_a_model_contradict_each_other(portrait: Path) -> None:
    done = CliRunner().invoke(app, ["scan", "--fast", "--model", "default", str(portrait)])
    assert done.exit_code == 2
    assert "give either --fast or --model" in done.output


def test_a_larger_model_of_another_version_is_named(
    bundles: Path, portrait: Path, tiny_bundle: Path
) -> None:
    """It was put together before an update, and stays in use until it is made anew."""
    content = tiny_bundle.read_bytes()
    older = {**read_seal(content), "name": "unmask-accurate", "version": "0.0.1"}
    (bundles / "accurate.onnx").write_bytes(seal(content, older))

    done = CliRunner().invoke(app, ["scan", str(portrait)])
    assert done.exit_code == 0
    assert "accurate 0.0.1 was put together by another version of unmask" in done.stderr
    assert "unmask models make accurate" in done.stderr
    diagnosis = next(
        line for line in CliRunner().invoke(app, ["doctor"]).stdout.splitlines() if "0.0.1" in line
    )
    assert "unmask models make accurate" in diagnosis

    fast = CliRunner().invoke(app, ["scan", "--fast", str(portrait)])
    assert "another version" not in fast.stderr
