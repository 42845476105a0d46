from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.lab import TINY
from unmask.bundle import load_bundle
from unmask.bundle.session import canary_crops
from unmask.errors import LabError
from unmask.lab.export.export import _take_mean, to_onnx
from unmask.lab.models.from_bundle import average, recalibrate_batch_norm, unfold
from unmask.lab.models.network import build_network
from unmask.lab.recipe import load_recipe

LITE = ["model.backbone=efficientnet_lite0", "model.weights=random"]


def faces(count: int, side: int = 64) -> torch.Tensor:
    coarse = np.random.default_rng(1).integers(0, 256, (count, 3, 8, 8), dtype=np.uint8)
    return torch.from_numpy(np.kron(coarse, np.ones((side // 8, side // 8), np.uint8)))


@pytest.fixture(scope="module")
def bundle_graph(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.Tensor]:
    """A network whose batch norms have seen something, exported; and its logits."""
    torch.manual_seed(1)
    network = build_network(load_recipe("unmask-lite0", LITE).model)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(faces(16))
    network.eval()
    path = tmp_path_factory.mktemp("graph") / "lite.onnx"
    path.write_bytes(to_onnx(network, 64))
    with torch.no_grad():
        return path, network(faces(8))[0]


def test_a_bundle_goes_on_as_the_network_it_was(bundle_graph: tuple[Path, torch.Tensor]) -> None:
    path, expected = bundle_graph
    network = build_network(
        load_recipe("unmask-lite0", [*LITE, f"model.weights={path}"]).model
    ).eval()
    with torch.no_grad():
        assert torch.allclose(network(faces(8))[0], expected, atol=1e-4)
        recalibrate_batch_norm(network, faces(32))
        assert torch.allclose(network(faces(8))[0], expected, atol=1e-3)
        # with the batch's own statistics, nearly the same; folded norms alone would be far off
        network.train()
        spread = float(expected.std())
        learning = network(faces(32))[0][:8]
    assert float((learning - expected).abs().mean()) < max(0.5, 5 * spread)


def test_the_shipped_bundle_can_be_gone_on_from() -> None:
    bundle = load_bundle("default")
    network = build_network(
        load_recipe("unmask-lite0-wide", ["model.weights=default.onnx"]).model
    ).eval()
    crops = canary_crops(1, 4, bundle.card.crop)
    with torch.no_grad():
        logits, maps = network(torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy()))
    scored = bundle.score(crops, explain=True)
    assert scored.logits == pytest.approx(logits.numpy(), abs=1e-3)
    assert scored.heatmaps == pytest.approx(maps.numpy(), abs=1e-3)


def test_settled_norms_have_the_statistics_of_what_passes(
    bundle_graph: tuple[Path, torch.Tensor],
) -> None:
    network = build_network(
        load_recipe("unmask-lite0", [*LITE, f"model.weights={bundle_graph[0]}"]).model
    ).eval()
    recalibrate_batch_norm(network, faces(32))
    stem, norm = network.backbone.conv_stem, network.backbone.bn1
    with torch.no_grad():
        passing = stem((faces(32).float() - network.mean) / network.std)
    assert torch.allclose(norm.running_mean, passing.mean(dim=(0, 2, 3)), atol=1e-3)
    assert not network.training


def test_other_graphs_are_refused(bundle_graph: tuple[Path, torch.Tensor], tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no graph of this backbone"):
        build_network(
            load_recipe(
                "unmask-lite0", [*TINY, f"model.weights={bundle_graph[0]}"]
            ).model.model_copy(update={"backbone": "test_resnet", "weights": str(bundle_graph[0])})
        )
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(LabError, match="cannot be read as a bundle"):
        build_network(
            load_recipe("unmask-lite0", [*LITE, f"model.weights={tmp_path / 'broken.onnx'}"]).model
        )


def test_averaging_goes_from_one_network_to_the_other(
    bundle_graph: tuple[Path, torch.Tensor], tmp_path: Path
) -> None:
    path, far = bundle_graph
    model = load_recipe("unmask-lite0", [*LITE, f"model.weights={path}"]).model
    network = build_network(model).eval()
    with torch.no_grad():
        for parameter in network.backbone.blocks[-1].parameters():
            parameter.mul_(1.05)
        near = network(faces(8))[0]
    mine, other = to_onnx(network, 64), path.read_bytes()

    def logits(share: float) -> torch.Tensor:
        (tmp_path / "mixed.onnx").write_bytes(average(mine, other, share))
        unfold(network, tmp_path / "mixed.onnx")
        with torch.no_grad():
            return network(faces(8))[0]

    assert float((far - near).abs().mean()) > 1e-3
    assert torch.allclose(logits(0.0), near, atol=1e-4)
    assert torch.allclose(logits(1.0), far, atol=1e-4)
    between = logits(0.5)
    assert float((between - near).abs().mean()) < float((far - near).abs().mean())


def test_of_three_runs_each_weighs_a_third(bundle_graph: tuple[Path, torch.Tensor]) -> None:
    recipe = load_recipe("unmask-lite0", [*LITE, f"model.weights={bundle_graph[0]}"])
    runs = [build_network(recipe.model).eval() for _ in range(3)]
    biases = (0.1, 0.4, 1.6)
    with torch.no_grad():
        for network, bias in zip(runs, biases, strict=True):
            network.head.out.bias.fill_(bias)
        before = runs[0](faces(8))[0]
        _take_mean(runs[0], runs[1:], 64)
        after = runs[0](faces(8))[0]
    assert torch.allclose(after - before, torch.full_like(after, 0.6), atol=1e-3)


def test_networks_of_two_kinds_are_not_averaged(bundle_graph: tuple[Path, torch.Tensor]) -> None:
    small = build_network(load_recipe("unmask-lite0", TINY).model).eval()
    with pytest.raises(LabError, match="not of one network"):
        average(to_onnx(small, 64), bundle_graph[0].read_bytes(), 0.5)
