"""CLIP's image tower as weights that can be tuned.

Radford et al. (ICML 2021), ViT-B/16. An installed package carries it in 8 bits; its matrices are
made float again, so that norms and blocks can learn and products are the same on every processor.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from unmask.errors import LabError
from unmask.lab.models.clip_encoder import LAYERS_OF_BLOCK, layer_of, read_tower

BACKBONE = "vit_base_patch16_clip_quickgelu_224"
"""timm's name for the tower."""

CLASS_TOKENS = 1

_IN_BLOCK = {
    "layer_norm1": "norm1",
    "layer_norm2": "norm2",
    **{theirs: ours for ours, theirs in LAYERS_OF_BLOCK.items()},
}
_OUTSIDE = {
    "embeddings.patch_embedding.weight": "patch_embed.proj.weight",
    "pre_layrnorm.weight": "norm_pre.weight",
    "pre_layrnorm.bias": "norm_pre.bias",
    "post_layernorm.weight": "norm.weight",
    "post_layernorm.bias": "norm.bias",
}


def tower_weights(tower: bytes | None = None) -> dict[str, Tensor]:
    """The tower's tensors, float32, under timm's names.

    - tower: its graph, by default that of the installed package

    Raises LabError where the package is missing or the graph lacks a part.
    """
    tower = read_tower() if tower is None else tower
    graph = onnx.load_from_string(tower).graph
    stored = {
        part.name.removeprefix("vision_model."): numpy_helper.to_array(part).astype(np.float32)
        for part in graph.initializer
    }
    # Matrices have no names of their own: the product that takes one is named after its layer.
    for node in graph.node:
        if node.op_type == "MatMulInteger" and node.name.startswith("/vision_model/encoder/"):
            stored[f"{layer_of(node)}.weight"] = _float_matrix(stored, node.input[1])
    try:
        return {name: torch.from_numpy(value) for name, value in _renamed(stored).items()}
    except KeyError as error:
        raise LabError(f"the tower's graph has no part {error}") from error


def fitted(weights: dict[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    """The tower's weights for a backbone with another input size or fewer blocks.

    Positions are interpolated; blocks that the backbone lacks are left out.
    """
    from timm.layers import resample_abs_pos_embed  # network.py has made its import possible

    wanted = backbone.state_dict()
    kept = {name: value for name, value in weights.items() if name in wanted}
    side = math.isqrt(wanted["pos_embed"].shape[1] - CLASS_TOKENS)
    kept["pos_embed"] = resample_abs_pos_embed(
        weights["pos_embed"], [side, side], num_prefix_tokens=CLASS_TOKENS
    )
    return kept


def _float_matrix(stored: dict[str, np.ndarray], quantised: str) -> np.ndarray:
    """(out, in): the 8-bit matrix times its scales, one for each output."""
    base = quantised.removesuffix("_quantized")
    scale, zero = stored[f"{base}_scale"], stored[f"{base}_zero_point"]
    return np.ascontiguousarray(((stored[quantised] - zero) * scale).T)


def _renamed(stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    weights = {new: stored[old] for old, new in _OUTSIDE.items()}
    weights["cls_token"] = stored["embeddings.class_embedding"][None, None]
    weights["pos_embed"] = stored["embeddings.position_embedding.weight"][None]
    blocks = 1 + max(int(name.split(".")[2]) for name in stored if name.startswith("encoder."))
    for block in range(blocks):
        old, new = f"encoder.layers.{block}", f"blocks.{block}"
        for kind in ("weight", "bias"):
            # timm keeps queries, keys and values in one matrix, in this order
            parts = [stored[f"{old}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            weights[f"{new}.attn.qkv.{kind}"] = np.concatenate(parts)
            for theirs, ours in _IN_BLOCK.items():
                weights[f"{new}.{ours}.{kind}"] = stored[f"{old}.{theirs}.{kind}"]
    return weights
