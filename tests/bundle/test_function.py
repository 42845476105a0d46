"""Other people's detectors, called as they are."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from unmask import load_detector
from unmask.bundle import load_scorer
from unmask.bundle.function import is_function
from unmask.errors import BundleNotFoundError, PluginError
from unmask.lab import evaluate_detectors, read_manifests

CODE = """
import numpy as np

def brightness(images):
    return [image.mean() / 255 for image in images]

class Larger:
    size, margin, version = 96, 2.0, "3.1"

    def predict(self, images):
        assert all(image.shape == (96, 96, 3) for image in images)
        return np.full(len(images), 0.75)

def percent(images): return [75] * len(images)
def nothing(images): return [float("nan")] * len(images)
def one(images): return [0.5]
def breaks(images): raise RuntimeError("no weights")
number = 5

class Huge:
    size = 100_000
    def predict(self, images): return []
"""


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module in the current folder."""
    (tmp_path / "their_detector.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "their_detector.py"
    sys.modules.pop("their_detector", None)


def test_what_it_says_is_the_probability(theirs: Path) -> None:
    scorer = load_scorer("their_detector:brightness")
    crops = [np.full((224, 224, 3), level, np.uint8) for level in (51, 204)]
    odds = np.exp(scorer.score(crops).logits)
    assert odds / (1 + odds) == pytest.approx([0.2, 0.8], abs=1e-6)
    assert scorer.id.sha256 == hashlib.sha256(theirs.read_bytes()).hexdigest()
    path = list(sys.path)
    load_scorer("their_detector:brightness")
    assert sys.path == path


def test_a_scan_gives_its_number_and_decides_nothing(theirs: Path, demo: Path) -> None:
    report = load_detector("their_detector:Larger").scan(demo / "2-generated.jpg", explain=True)
    assert report.verdict.label == "inconclusive"
    assert report.verdict.probability_fake == pytest.approx(0.75)
    assert (report.model.name, report.model.version) == ("their_detector:Larger", "3.1")


def test_it_is_measured_like_any_other(theirs: Path, demo: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name, kind in (("1-photograph.jpg", "real"), ("2-generated.jpg", "fake")):
        (data / kind).mkdir(parents=True)
        (data / kind / name).write_bytes((demo / name).read_bytes())
    detectors = {"theirs": load_detector("their_detector:brightness")}
    found = evaluate_detectors(detectors, read_manifests([data]), tmp_path / "out", crops=True)
    assert found.metrics["theirs"]["overall"]["n"] == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("percent", "no probabilities"),
        ("nothing", "no probabilities"),
        ("one", r"gives \(1,\) for 2 faces"),
        ("breaks", "RuntimeError: no weights"),
    ],
)
def test_what_is_no_probability_is_an_error(theirs: Path, name: str, words: str) -> None:
    scorer = load_scorer(f"their_detector:{name}")
    with pytest.raises(PluginError, match=words):
        scorer.score([np.zeros((224, 224, 3), np.uint8)] * 2)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("their_detector:missing", "AttributeError"),
        ("their_detector:number", "no function"),
        ("their_detector:Huge", "crop size must be 16 to 1024"),
        ("no_such_module:predict", "ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_loaded_is_named(theirs: Path, name: str, words: str) -> None:
    with pytest.raises(PluginError, match=words):
        load_scorer(name)


@pytest.mark.parametrize(
    "name", ["mine.onnx", "C:\\models\\mine.onnx", "a:", ":b", "a b:c", "default"]
)
def test_other_names_are_no_functions(name: str) -> None:
    assert not is_function(name)


def test_a_missing_file_is_still_a_missing_file() -> None:
    with pytest.raises(BundleNotFoundError):
        load_scorer("missing.onnx")
