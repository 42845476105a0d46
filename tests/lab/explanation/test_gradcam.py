from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from unmask.bundle.card import parse_card
from unmask.errors import LabError, ManifestError, OutputError
from unmask.faces import load_finder
from unmask.lab.data.manifest import read_manifest
from unmask.lab.data.samples import find_samples
from unmask.lab.explanation.deletion_insertion import grade_maps
from unmask.lab.explanation.gradcam import NetworkScorer, explain_run, grad_cam
from unmask.lab.models.network import Network, build_network
from unmask.lab.recipe import Model
from unmask.testing import FakeScorer, example_card


@pytest.fixture(scope="module")
def crops() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(3)]


def network() -> Network:
    torch.manual_seed(0)
    return build_network(Model(backbone="test_resnet", weights="random")).eval()


def test_under_a_linear_head_it_is_the_class_activation_map(crops: list[np.ndarray]) -> None:
    """Selvaraju et al., section 3.1: Grad-CAM generalises CAM. Ours has the bias spread over its
    places."""
    net = network()
    with torch.no_grad():
        # the features are not negative: so there is a positive part to compare
        net.head.out.weight.abs_()
    maps = grad_cam(net, crops)
    scored = NetworkScorer(net).score(crops, explain=True)
    assert scored.heatmaps is not None
    assert maps.shape == scored.heatmaps.shape
    bias = float(net.head.out.bias.detach())
    expected = np.maximum(scored.heatmaps - bias, 0)
    for found, wanted in zip(maps, expected, strict=True):
        assert wanted.max() > 0
        assert np.abs(found / found.max() - wanted / wanted.max()).max() < 1e-3


def test_an_earlier_layer_gives_another_map(crops: list[np.ndarray]) -> None:
    net = network()
    maps = grad_cam(net, crops, "layer2")
    assert maps.shape[0] == 3
    assert maps.shape[1] > 2
    assert (maps >= 0).all()


def test_what_is_borrowed_is_given_back(crops: list[np.ndarray]) -> None:
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    grad_cam(net, crops)
    assert not net.training
    assert not [m for m in net.modules() if m._forward_hooks or m._backward_hooks]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_unknown_layers_and_layers_without_places(crops: list[np.ndarray]) -> None:
    with pytest.raises(LabError, match="no layer 'nonsense'; its blocks:"):
        grad_cam(network(), crops, "nonsense")


def test_grading_over_a_data_set(toy_set: Path, tmp_path: Path) -> None:
    samples = find_samples(
        [item for item in read_manifest(toy_set) if item.label][:12], jobs=1
    ).samples
    bright = FakeScorer(
        parse_card(
            example_card(calibration={"method": "temperature", "temperature": 1.0, "bias": 50.0})
        )
    )
    found = grade_maps(bright, samples, tmp_path / "out", count=3)
    assert found["n"] == 3
    assert 0 <= found["faithful"] <= 1
    assert found["shares"][0] == 0
    assert len(found["deletion"]) == len(found["shares"]) == 8
    assert set(found["areas"]) == {"deletion", "insertion", "random_deletion", "random_insertion"}
    assert json.loads((tmp_path / "out" / "deletion.json").read_text()) == found
    assert (tmp_path / "out" / "deletion.png").read_bytes().startswith(b"\x89PNG")
    reals = find_samples(
        [item for item in read_manifest(toy_set) if not item.label][:12], jobs=1
    ).samples
    again = grade_maps(bright, samples, tmp_path / "again", count=1, reals=reals)
    assert again["true_masks"]["n"] == 50
    assert 0 <= again["true_masks"]["faithful"] <= 1
    sees_none = FakeScorer(
        parse_card(
            example_card(calibration={"method": "temperature", "temperature": 1.0, "bias": -50.0})
        )
    )
    with pytest.raises(ManifestError, match="no heat map to grade"):
        grade_maps(sees_none, samples, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        grade_maps(bright, samples, tmp_path / "file", count=1)


def test_explaining_what_is_no_run_or_no_face(tmp_path: Path, demo: Path) -> None:
    with pytest.raises(LabError, match="no run"):
        explain_run(tmp_path, [demo / "2-generated.jpg"], tmp_path / "out", load_finder("yunet"))
