"""The small network and the tower in one graph, with a stand-in for the tower."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.bundles import brightness_graph, greenness_graph
from unmask._internal.onnx_runtime import open_session
from unmask.bundle import Bundle, seal
from unmask.bundle.session import has_two_parts
from unmask.lab.models import pair
from unmask.lab.models.pair import Mix, join
from unmask.lab.models.tuned_tower import BlockHead, TunedTower
from unmask.testing import example_card

SIDE = 48
TUNED = TunedTower({}, np.zeros(1536, np.float32), 0.0, side=SIDE, depth=1)
MIX = Mix(small=0.5, tower=2.0, constant=-1.0, quick_slope=0.8, quick_constant=0.3)


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setattr(pair, "tower_graph", greenness_graph)
    return join(brightness_graph(32), 32, b"", TUNED, MIX)


def crops(count: int) -> np.ndarray:
    """(count, 32, 32, 3) uint8."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def test_the_joint_logit_by_hand(graph: bytes) -> None:
    faces = crops(5)
    session = open_session(graph)
    logit, heatmap = session.run(["logit", "heatmap"], {"faces": faces.transpose(0, 3, 1, 2)})
    brightness = (faces.mean(axis=(1, 2, 3)) - 128) / 16
    greenness = (faces @ np.array([-1.0, 2.0, -1.0])).mean(axis=(1, 2)) * 0.01
    assert logit == pytest.approx(0.5 * brightness + 2.0 * greenness - 1.0, abs=0.02)
    assert heatmap.shape == (5, 3, 3)
    assert heatmap.mean(axis=(1, 2)) == pytest.approx(logit, abs=1e-4)


def test_without_the_tower_the_small_network_speaks_on_the_same_scale(
    graph: bytes, tmp_path: Path
) -> None:
    faces = crops(3)
    (tmp_path / "pair.onnx").write_bytes(seal(graph, example_card()))
    bundle = Bundle(tmp_path / "pair.onnx", check=False)
    assert has_two_parts(bundle)
    logits, heatmaps, *_ = bundle.score(list(faces), explain=True, quick=True)
    brightness = (faces.mean(axis=(1, 2, 3)) - 128) / 16
    assert logits == pytest.approx(0.8 * brightness + 0.3, abs=1e-3)
    assert heatmaps is not None
    assert heatmaps.mean(axis=(1, 2)) == pytest.approx(logits, abs=1e-4)
    both = bundle.score(list(faces)).logits
    assert np.abs(both - logits).max() > 0.1


def test_faces_in_videos_are_judged_by_heads_of_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pair, "tower_graph", greenness_graph)
    tuned = replace(TUNED, video=(BlockHead(0, np.zeros(1536, np.float32), 0.0),))
    of_video = Mix(small=0.25, tower=3.0, constant=0.5, quick_slope=0.6, quick_constant=-0.2)
    graph = join(brightness_graph(32), 32, b"", tuned, replace(MIX, video=of_video))
    (tmp_path / "pair.onnx").write_bytes(seal(graph, example_card()))
    bundle = Bundle(tmp_path / "pair.onnx", check=False)
    faces = crops(4)
    scored = bundle.score(list(faces), explain=True)
    brightness = (faces.mean(axis=(1, 2, 3)) - 128) / 16
    greenness = (faces @ np.array([-1.0, 2.0, -1.0])).mean(axis=(1, 2)) * 0.01
    assert scored.video_logits == pytest.approx(
        0.25 * brightness + 3.0 * 2 * greenness + 0.5, abs=0.04
    )
    # pictures are judged as by a bundle without such heads
    assert scored.logits == pytest.approx(0.5 * brightness + 2.0 * greenness - 1.0, abs=0.02)
    assert scored.heatmaps is not None
    assert scored.heatmaps.mean(axis=(1, 2)) == pytest.approx(scored.logits, abs=1e-4)
    quick = bundle.score(list(faces), quick=True).video_logits
    assert quick == pytest.approx(0.6 * brightness - 0.2, abs=1e-3)
    nothing = bundle.score([], explain=True)
    assert nothing.video_logits is not None
    assert nothing.video_logits.shape == nothing.logits.shape == (0,)


def test_a_bundle_of_one_part_takes_no_notice(tiny_bundle: Path) -> None:
    bundle = Bundle(tiny_bundle)
    assert not has_two_parts(bundle)
    faces = list(crops(3))
    assert np.array_equal(bundle.score(faces, quick=True).logits, bundle.score(faces).logits)
