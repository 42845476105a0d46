"""Heads for videos in the learnt part, with stand-ins for the tower and for what it says."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.bundles import stand_in_parts, write_bundle
from unmask.bundle import Bundle
from unmask.detector import Detector
from unmask.errors import CanaryError, LabError, ManifestError
from unmask.lab.data.manifest import Item
from unmask.lab.export import joining, videos
from unmask.lab.export.clips import ClipScores
from unmask.lab.export.export import Anew, measured_card
from unmask.lab.export.joining import make, read_learnt, write_learnt
from unmask.lab.export.videos import learn_from_clips
from unmask.lab.models.pair import Mix
from unmask.lab.models.tuned_tower import TunedTower
from unmask.lab.training.video_head import ClipLooks

TUNED = TunedTower({}, np.zeros(1536, np.float32), 0.0, side=48, depth=9)
MIX = Mix(small=0.5, tower=2.0, constant=-1.0, quick_slope=0.8, quick_constant=0.3)


@pytest.fixture
def learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learnt part without heads for videos, and the default bundle that it belongs to."""
    base = Bundle(stand_in_parts(tmp_path / "default.onnx", monkeypatch, videos, joining))
    card = {key: value for key, value in base.card.text.items() if key != "graph_sha256"}
    card["canaries"] = {**card["canaries"], "tolerance": 100.0}  # they are of the base
    write_learnt(tmp_path / "learnt.safetensors", TUNED, MIX, card, base)
    return tmp_path / "learnt.safetensors"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """60 clips of twelve sources: a third trained on, three kept out; the labels are in turn."""
    rows = [("path", "label", "dataset", "split", "group")]
    for n in range(60):
        split = "test" if n % 20 == 0 else ("train" if n % 3 == 0 else "validation")
        rows.append((f"{n}.mp4", ("real", "fake")[n % 2], f"source {n % 12}", split, str(n)))
        (tmp_path / f"{n}.mp4").touch()
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return tmp_path / "clips.csv"


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Item]]:
    """What is scanned, part by part; a clip's probability is by its label and its number."""
    parts: list[Sequence[Item]] = []

    def look_at_clips(clips: Sequence[Item], *args: Any) -> ClipLooks:
        rng = np.random.default_rng(0)
        labels = np.array([clip.label for clip in clips])
        said = rng.normal(size=(len(clips), 2 * 1536)) + labels[:, None] * 0.5
        return ClipLooks(
            tuple(clips), said.astype(np.float32), labels + rng.normal(size=len(clips))
        )

    def score_clips(detector: Detector, clips: Sequence[Item]) -> ClipScores:
        # the heads that judge are in the graph
        grey = np.full((32, 32, 3), 128, np.uint8)
        assert detector.bundle.score([grey]).video_logits is not None
        parts.append(clips)
        labels = np.array([clip.label for clip in clips])
        return ClipScores(labels, 0.2 + 0.6 * labels, tuple(clip.name for clip in clips))

    monkeypatch.setattr(videos, "look_at_clips", look_at_clips)
    monkeypatch.setattr(videos, "score_clips", score_clips)
    return parts


def test_heads_are_learnt_and_travel_with_the_learnt_part(
    learnt: Path, manifest: Path, scanned: list[Sequence[Item]], tmp_path: Path
) -> None:
    out, scores = tmp_path / "more.safetensors", tmp_path / "scores.csv"
    learn_from_clips([manifest], out, learnt=learnt, version="9", keep_scores=scores, tower=b"")
    tuned, mix, card, _ = read_learnt(out)
    assert [head.block for head in tuned.video] == [6, 8]
    assert mix.video is not None
    assert (mix.small, mix.tower) == (0.5, 2.0)  # pictures are judged as before
    assert card["version"] == "9"
    assert card["made_by"]["video_heads"]["blocks"] == [7, 9]
    assert card["made_by"]["video_heads"]["clips"] == {"real": 27, "fake": 30}
    assert card["videos"]["auc"] == 1.0

    # thresholds come from clips that the tower was not trained on, each scanned once
    names = [clip.name for part in scanned for clip in part]
    assert len(names) == len(set(names)) == card["videos"]["real"] + card["videos"]["fake"]
    assert {clip.split for part in scanned for clip in part} == {"validation"}
    assert 0.5 <= card["thresholds"]["clip"]["fake"]["probability"] < 0.8
    with scores.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(names)

    bundle = Bundle(make(tmp_path / "accurate.onnx", out, tower=b""))
    grey = np.full((32, 32, 3), 128, np.uint8)
    assert bundle.score([grey]).video_logits is not None
    without = Bundle(make(tmp_path / "before.onnx", learnt, tower=b""))
    assert without.score([grey]).video_logits is None
    assert bundle.score([grey]).logits == pytest.approx(without.score([grey]).logits)
    with pytest.raises(LabError, match="would come out too bold"):
        measured_card(bundle, Anew(clips=[manifest]))
    # the self-test knows what is said of videos, too
    assert len(bundle.card.canaries.video_logits) == len(bundle.card.canaries.logits)
    with pytest.raises(CanaryError, match="no output for them"):
        Bundle(write_bundle(tmp_path / "none.onnx", canaries=card["canaries"]))


def test_clips_of_one_class_teach_nothing(
    learnt: Path, manifest: Path, scanned: list[Sequence[Item]], tmp_path: Path
) -> None:
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join(line for line in lines if ",fake," not in line))
    with pytest.raises(ManifestError, match="needs real and fake items"):
        learn_from_clips([manifest], tmp_path / "no.safetensors", learnt=learnt, tower=b"")
    assert not (tmp_path / "no.safetensors").exists()
