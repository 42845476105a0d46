from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from helpers.lab import TINY
from unmask.bundle import load_bundle
from unmask.errors import LabError
from unmask.lab.data.manifest import read_manifest, select
from unmask.lab.export.export import cut_faces, export_run, with_known
from unmask.lab.export.thresholds import calibrate
from unmask.lab.models.network import build_network
from unmask.lab.models.novelty import statistics, statistics_of, with_novelty
from unmask.lab.recipe import load_recipe
from unmask.lab.training.checkpoint import load_run
from unmask.lab.training.train import train


def test_statistics_by_hand() -> None:
    stage = torch.tensor([[[[1.0, 3.0], [1.0, 3.0]], [[5.0, 5.0], [5.0, 5.0]]]])
    told = statistics([stage, stage[:, :1] * 2])
    assert told.tolist()[0] == pytest.approx([2, 5, 1, 0.001, 4, 2], abs=1e-3)


def test_novelty_by_hand() -> None:
    network = build_network(load_recipe("unmask-lite0", TINY).model).eval()
    rng = np.random.default_rng(0)
    known = rng.normal(0, 1, (4000, 4))
    known[:, 1] = known[:, 0] * 3 + rng.normal(0, 0.1, 4000)  # two that rise and fall together
    known[:, 3] = 7  # and one that never varies
    told = with_novelty(network, known, known[:400], np.full(400, "a"), 0.01)

    def novelty(*point: float) -> float:
        return float(told.novelty(torch.tensor([point])))

    assert novelty(0, 0, 0, 7) < 0.2
    assert novelty(2, 6, 0, 7) < 1  # far, but as known ones are
    assert novelty(2, -6, 0, 7) > 3  # no farther from the middle, but where none is
    assert novelty(0, 0, 4, 7) > 1
    assert novelty(0, 0, 8, 7) == pytest.approx(2 * novelty(0, 0, 4, 7), rel=0.05)
    assert novelty(0, 0, 0, 8) > 3


def test_the_edge_is_where_the_share_is_outside_and_the_hardest_set_counts() -> None:
    network = build_network(load_recipe("unmask-lite0", TINY).model).eval()
    rng = np.random.default_rng(0)
    known = rng.normal(3, 1, (3000, 30))
    # a set that varies more
    known[2000:] += rng.normal(0, 1, (1000, 30))
    names = np.array(["a"] * 2000 + ["b"] * 1000)
    values = torch.from_numpy(known.astype(np.float32))
    inside = with_novelty(network, known, known, names, 0.05).novelty(values).numpy() <= 1
    assert inside[names == "b"].mean() == pytest.approx(0.95, abs=0.005)
    assert inside[names == "a"].mean() > 0.97
    alone = with_novelty(network, known, known, np.full(3000, "all"), 0.05)
    assert (alone.novelty(values).numpy() <= 1).mean() == pytest.approx(0.95, abs=0.005)


def test_what_is_no_photograph_is_novel_even_to_a_network_that_learnt_nothing() -> None:
    """The first stages see how a picture is made; noise and flat tones are not made as these."""
    network = build_network(load_recipe("unmask-lite0", TINY).model).eval()
    rng = np.random.default_rng(0)
    smooth = [
        cv2.GaussianBlur(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8), (0, 0), 3)
        for _ in range(120)
    ]
    known = statistics_of(network, smooth)
    told = with_novelty(network, known, known, np.full(120, "a"), 0.02)
    odd = [rng.integers(0, 256, (64, 64, 3)).astype(np.uint8), np.full((64, 64, 3), 255, np.uint8)]
    values = torch.from_numpy(statistics_of(network, odd))
    assert (told.novelty(values) > 1.5).all()


def test_a_backbone_that_does_not_show_its_stages_is_an_error() -> None:
    network = build_network(load_recipe("unmask-lite0", TINY).model).eval()
    network.backbone = nn.Conv2d(3, 8, 3)
    with pytest.raises(LabError, match="shows its stages"):
        statistics_of(network, [np.zeros((64, 64, 3), np.uint8)])


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
    # and the graph says what the network does
    recipe, network, _ = load_run(bundle.parent / "run")
    faces = cut_faces(select(read_manifest(toy_set), "validation"), recipe.crop.spec())
    told = with_known(network, faces, recipe)
    with torch.inference_mode():
        by_torch = told(torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy()))[2].numpy()
    assert known == pytest.approx(by_torch, rel=0.02)
    # noise lies farther away than the face does
    noise = np.random.default_rng(0).integers(0, 256, crops[0].shape).astype(np.uint8)
    changed = loaded.score([crops[0], noise]).novelty
    assert changed is not None
    assert changed[0] == pytest.approx(known[0], abs=0.01)
    assert changed[1] > max(1, changed[0])


def test_isotonic_knots_rise_and_bounds_are_exact(bundle: Path) -> None:
    card = load_bundle(str(bundle)).card
    assert card.calibration.method == "isotonic"
    chosen = card.text["thresholds"]["fake"]
    # of 12 real faces, a tenth of all too dark and a tenth too blurred to be judged
    assert chosen["by_data_set"]["toy"]["n"] == chosen["n"]
    assert 8 <= chosen["n"] < 12
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


def test_looking_at_stages_changes_nothing_of_the_score(toy_set: Path) -> None:
    network = build_network(load_recipe("unmask-lite0", TINY).model).eval()
    crops = cut_faces(
        read_manifest(toy_set)[:5], load_recipe("unmask-lite0", TINY).crop.spec()
    ).crops
    assert len(statistics_of(network, crops, batch=2)) == 5
    faces = torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy())
    with torch.inference_mode():
        places, stages = network.places_and_stages(faces, 3)
        assert torch.equal(places, network.places(faces))
    assert [stage.ndim for stage in stages] == [4, 4, 4]
