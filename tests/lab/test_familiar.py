from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lab_tools import TINY
from unmask.bundle import load_bundle
from unmask.lab.backbones import build_network
from unmask.lab.export import calibrate, cut_faces, export_run
from unmask.lab.familiar import pooled_features, tell_novelty
from unmask.lab.manifest import read_manifest, select
from unmask.lab.recipe import load_recipe
from unmask.lab.train import load_run, train


def test_novelty_by_hand() -> None:
    network = build_network(load_recipe("unmask-lite0", TINY).model).eval()
    rng = np.random.default_rng(0)
    pooled = np.zeros((400, network.channels), np.float32)
    pooled[:, :2] = rng.normal([10, -4], [3, 0.5], (400, 2))  # two directions, of different spread
    told = tell_novelty(network, pooled, np.ones(400), 0.05)

    def novelty(*point: float) -> float:
        row = torch.zeros(1, network.channels)
        row[0, :2] = torch.tensor(point)
        return float(told.novelty(row))

    assert novelty(10, -4) < 0.2  # the middle
    assert novelty(10 + 9, -4) == pytest.approx(novelty(10, -4 + 1.5), rel=0.15)  # three spreads, either way
    assert novelty(10 + 30, -4) > 2
    inside = [float(told.novelty(torch.from_numpy(row[None]))) <= 1 for row in pooled]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.01)


def test_weights_say_whose_edge_it_is() -> None:
    """Many rows of one kind and few of another, each weighing the same: the few are not outside."""
    network = build_network(load_recipe("unmask-lite0", TINY).model).eval()
    rng = np.random.default_rng(0)
    pooled = np.zeros((1010, network.channels), np.float32)
    pooled[:, 0] = rng.normal(0, 1, 1010)
    pooled[1000:, 0] += 12
    weights = np.r_[np.full(1000, 1 / 1000), np.full(10, 1 / 10)]
    told = tell_novelty(network, pooled, weights, 0.02)
    assert (told.novelty(torch.from_numpy(pooled[1000:])).numpy() <= 1.01).mean() >= 0.9


@pytest.fixture(scope="module")
def bundle(toy_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("novel")
    changes = ["gates={min_size_px: 20, min_inside: 0.3, outside: 0.1, novelty: true}", "thresholds.smallest_set=5"]
    changes += ["thresholds.calibration=isotonic"]
    run = train(load_recipe("unmask-lite0", [*TINY, *changes]), read_manifest(toy_set), folder / "run", jobs=1)
    export_run(run, folder / "toy.onnx", [toy_set], [])
    return folder / "toy.onnx"


def test_a_bundle_tells_novelty(bundle: Path, toy_set: Path) -> None:
    loaded = load_bundle(str(bundle))
    assert loaded.card.gates.max_novelty == 1.0
    recipe = load_recipe("unmask-lite0", TINY)
    crops = cut_faces(select(read_manifest(toy_set), "validation"), recipe.crop.spec()).crops
    known = loaded.score(crops).novelty
    assert known is not None
    assert (known <= 1.001).mean() == pytest.approx(0.9, abs=0.05)  # the gate's share of validation faces is outside
    network = load_run(bundle.parent / "run")[1]
    told = tell_novelty(network, pooled_features(network, crops), np.ones(len(crops)), 0.1)
    with torch.inference_mode():
        by_torch = told(torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy()))[2].numpy()
    assert known == pytest.approx(by_torch, abs=0.02)


def test_isotonic_knots_rise_and_bounds_are_exact(bundle: Path) -> None:
    card = load_bundle(str(bundle)).card
    assert card.calibration.method == "isotonic"
    chosen = card.text["thresholds"]["fake"]
    assert chosen["by_data_set"]["toy"]["n"] == chosen["n"] == 12
    low, high = chosen["ci95"]
    assert low <= chosen["false_positive_rate"] <= high
    if chosen["wrong"] == 1:  # Clopper and Pearson for 1 of 12
        assert (low, high) == (pytest.approx(0.0021, abs=1e-3), pytest.approx(0.3848, abs=1e-3))


def test_isotonic_follows_the_share_of_fakes(bundle: Path, toy_set: Path) -> None:
    faces = cut_faces(select(read_manifest(toy_set), "validation"), load_recipe("unmask-lite0", TINY).crop.spec())
    logits = np.where(faces.labels == 1, 2.0, -2.0) + np.linspace(0, 0.1, len(faces.labels))
    knots = np.array(calibrate(faces, logits, "isotonic")["knots"])
    assert (np.diff(knots[:, 0]) > 0).all()
    assert knots[0, 1] == pytest.approx(0.001)
    assert knots[-1, 1] == pytest.approx(0.999)


def test_pooled_features_are_those_of_the_network(toy_set: Path) -> None:
    network = build_network(load_recipe("unmask-lite0", TINY).model).eval()
    crops = cut_faces(read_manifest(toy_set)[:5], load_recipe("unmask-lite0", TINY).crop.spec()).crops
    pooled = pooled_features(network, crops, batch=2)
    assert pooled.shape == (5, network.channels)
    with torch.inference_mode():
        logit = network(torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy()))[0]
        assert torch.allclose(network.head.out(torch.from_numpy(pooled))[:, 0], logit, atol=1e-4)
