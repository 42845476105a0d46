from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.lab import TINY
from unmask.bundle import load_bundle
from unmask.lab.data.manifest import read_manifest, select
from unmask.lab.export.export import cut_faces, export_run
from unmask.lab.export.thresholds import calibrate
from unmask.lab.models.network import build_network
from unmask.lab.models.novelty import pooled_features, with_novelty
from unmask.lab.recipe import load_recipe
from unmask.lab.training.checkpoint import load_run
from unmask.lab.training.train import train


def test_novelty_by_hand() -> None:
    network = build_network(load_recipe("unmask-lite0", TINY).model).eval()
    rng = np.random.default_rng(0)
    # nothing but noise, save that
    pooled = rng.normal(0, 0.05, (400, network.channels)).astype(np.float32)
    pooled[:, :2] += rng.normal([10, -4], [3, 2], (400, 2))  # known faces vary in two directions,
    pooled[:, 3] += 7  # and not in a third, in which they lie
    told = with_novelty(network, pooled, np.full(400, "a"), 0.05)

    def novelty(*point: float) -> float:
        row = torch.zeros(1, network.channels)
        row[0, :4] = torch.tensor(point)
        return float(told.novelty(row))

    assert novelty(10, -4, 0, 7) < 0.5
    assert novelty(19, 2, 0, 7) < 0.5  # far, but where known faces go
    assert novelty(10, -4, 0, 10) > 2  # where none goes
    assert novelty(10, -4, 0, 13) > novelty(10, -4, 0, 10)


def test_the_edge_is_where_the_share_is_outside_and_the_hardest_set_counts() -> None:
    network = build_network(load_recipe("unmask-lite0", TINY).model).eval()
    rng = np.random.default_rng(0)
    pooled = rng.normal(3, 1, (3000, network.channels)).astype(np.float32)
    # a set that varies more
    pooled[2000:] += rng.normal(0, 1, (1000, network.channels)).astype(np.float32)
    names = np.array(["a"] * 2000 + ["b"] * 1000)
    known = torch.from_numpy(pooled)
    inside = with_novelty(network, pooled, names, 0.05).novelty(known).numpy() <= 1
    assert inside[names == "b"].mean() == pytest.approx(0.95, abs=0.005)
    assert inside[names == "a"].mean() > 0.97
    pooled_alone = (
        with_novelty(network, pooled, np.full(3000, "all"), 0.05).novelty(known).numpy() <= 1
    )
    assert pooled_alone.mean() == pytest.approx(0.95, abs=0.005)


@pytest.fixture(scope="module")
def bundle(toy_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("novel")
    changes = [
        "gates={min_size_px: 20, min_inside: 0.3, outside: 0.1, novelty: true}",
        "thresholds.smallest_set=5",
    ]
    changes += ["thresholds.calibration=isotonic"]
    run = train(
        load_recipe("unmask-lite0", [*TINY, *changes]),
        read_manifest(toy_set),
        folder / "run",
        jobs=1,
    )
    export_run(run, folder / "toy.onnx", [toy_set], [])
    return folder / "toy.onnx"


def test_a_bundle_tells_novelty(bundle: Path, toy_set: Path) -> None:
    loaded = load_bundle(str(bundle))
    assert loaded.card.gates.max_novelty == 1.0
    recipe = load_recipe("unmask-lite0", TINY)
    crops = cut_faces(select(read_manifest(toy_set), "validation"), recipe.crop.spec()).crops
    known = loaded.score(crops).novelty
    assert known is not None
    # the gate's share of validation faces is outside
    assert (known <= 1.001).mean() == pytest.approx(0.9, abs=0.05)
    network = load_run(bundle.parent / "run")[1]
    told = with_novelty(network, pooled_features(network, crops), np.full(len(crops), "toy"), 0.1)
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


def test_isotonic_follows_the_share_of_fakes(bundle: Path, toy_set: Path) -> None:
    faces = cut_faces(
        select(read_manifest(toy_set), "validation"), load_recipe("unmask-lite0", TINY).crop.spec()
    )
    logits = np.where(faces.labels == 1, 2.0, -2.0) + np.linspace(0, 0.1, len(faces.labels))
    knots = np.array(calibrate(faces, logits, "isotonic")["knots"])
    assert (np.diff(knots[:, 0]) > 0).all()
    assert knots[0, 1] == pytest.approx(0.001)
    assert knots[-1, 1] == pytest.approx(0.999)


def test_pooled_features_are_those_of_the_network(toy_set: Path) -> None:
    network = build_network(load_recipe("unmask-lite0", TINY).model).eval()
    crops = cut_faces(
        read_manifest(toy_set)[:5], load_recipe("unmask-lite0", TINY).crop.spec()
    ).crops
    pooled = pooled_features(network, crops, batch=2)
    assert pooled.shape == (5, network.channels)
    with torch.inference_mode():
        logit = network(torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy()))[0]
        assert torch.allclose(network.head.out(torch.from_numpy(pooled))[:, 0], logit, atol=1e-4)
