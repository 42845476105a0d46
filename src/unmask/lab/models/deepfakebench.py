"""DeepfakeBench's EfficientNet-B4, as a network of timm that computes the same.

Its network is that of the package efficientnet_pytorch, with a first convolution without padding in
place of its own. That package pads as TensorFlow does, but by how much it decides once, for
pictures of 380 pixels; timm's variant decides anew for every size.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from unmask.errors import LabError

ARCHITECTURE = "deepfakebench_efficientnet_b4"
"""What `--timm` calls it, though timm has none of that name."""

SIZE = 256
"""Side of the pictures that DeepfakeBench trains on."""

PADDED_FOR = 380
"""Side of the pictures for which the package decides its padding."""

BLOCK_WITH_EXPANSION = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
BLOCK_WITHOUT = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
"""Their names of a block's layers, and timm's."""

OUTSIDE = {
    "efficientnet._conv_stem": "conv_stem",
    "efficientnet._bn0": "bn1",
    "efficientnet._conv_head": "conv_head",
    "efficientnet._bn1": "bn2",
    "last_layer": "classifier",
}


def efficientnet_b4(state: Mapping[str, torch.Tensor]) -> nn.Module:
    """The network with the weights of a checkpoint.

    - state: with the names of DeepfakeBench's backbone

    Raises LabError where weights are missing.
    """
    import timm

    if "last_layer.weight" not in state:
        raise LabError(
            "the checkpoint has no last_layer.weight: not DeepfakeBench's EfficientNet-B4"
        )
    classes = state["last_layer.weight"].shape[0]
    network: nn.Module = timm.create_model("tf_efficientnet_b4", num_classes=classes)
    names = _names(network)
    own = network.state_dict()
    missing = [theirs for theirs in names.values() if theirs not in state]
    if missing:
        raise LabError(f"the checkpoint lacks {len(missing)} weights, among them {missing[0]}")
    network.load_state_dict({name: state[names[name]] for name in own})
    _pad_as_theirs(network)
    return network


def _names(network: nn.Module) -> dict[str, str]:
    """Timm's names of all weights, and theirs."""
    layers = dict(OUTSIDE)
    number = 0
    for stage, blocks in enumerate(network.blocks):  # type: ignore[arg-type]
        for place, block in enumerate(blocks):
            inside = BLOCK_WITH_EXPANSION if hasattr(block, "conv_pwl") else BLOCK_WITHOUT
            for theirs, ours in inside.items():
                layers[f"efficientnet._blocks.{number}.{theirs}"] = f"blocks.{stage}.{place}.{ours}"
            number += 1
    theirs_of = {ours: theirs for theirs, ours in layers.items()}
    return {name: _theirs(name, theirs_of) for name in network.state_dict()}


def _theirs(name: str, theirs_of: Mapping[str, str]) -> str:
    layer, _, weight = name.rpartition(".")
    return f"{theirs_of[layer]}.{weight}"


def _pad_as_theirs(network: nn.Module) -> None:
    """Replace the convolutions that halve the picture."""
    network.conv_stem = _with_padding(network.conv_stem, 0)  # type: ignore[arg-type]
    side = -(-PADDED_FOR // 2)
    for blocks in network.blocks:  # type: ignore[union-attr]
        for block in blocks:
            convolution = block.conv_dw
            if convolution.stride[0] == 1:
                continue
            smaller = -(-side // 2)
            missing = max((smaller - 1) * 2 + convolution.kernel_size[0] - side, 0)
            block.conv_dw = _with_padding(convolution, missing)
            side = smaller


def _with_padding(convolution: nn.Conv2d, missing: int) -> nn.Module:
    """A plain convolution with the same weights, behind so many rows and columns of zeros."""
    before, after = missing // 2, missing - missing // 2
    plain = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        convolution.kernel_size,  # type: ignore[arg-type]
        convolution.stride,  # type: ignore[arg-type]
        groups=convolution.groups,
        bias=convolution.bias is not None,
    )
    plain.load_state_dict(convolution.state_dict())
    return nn.Sequential(nn.ZeroPad2d((before, after, before, after)), plain)
