"""The way back towards the encoder as it was; all of it, on the tower, is in test_tuned_tower."""

from __future__ import annotations

import numpy as np

from unmask.lab.models.way_back import moved_back

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
