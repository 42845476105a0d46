"""DeepfakeBench's EfficientNet-B4 by timm's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import nn

from unmask.errors import LabError
from unmask.lab.models.deepfakebench import ARCHITECTURE, _names, efficientnet_b4
from unmask.lab.models.foreign import from_timm


def checkpoint() -> dict[str, torch.Tensor]:
    """Random weights under the names of DeepfakeBench's backbone."""
    import timm

    torch.manual_seed(1)
    network = timm.create_model("tf_efficientnet_b4", num_classes=2)
    names = _names(network)
    return {names[key]: value for key, value in network.state_dict().items()}


def test_halving_layers_are_padded_as_for_pictures_of_380_pixels() -> None:
    state = checkpoint()
    network: Any = efficientnet_b4(state)
    # by hand: 380 → 190 → 95 → 48 → 24 → 12; missing (out - 1) · 2 + kernel - in, the odd one last
    expected = {190: (0, 1), 95: (2, 2), 48: (0, 1), 24: (1, 2)}
    halving = [
        block.conv_dw[0].padding
        for blocks in network.blocks
        for block in blocks
        if isinstance(block.conv_dw, nn.Sequential)
    ]
    assert halving == [(a, b, a, b) for a, b in expected.values()]
    assert network.conv_stem[0].padding == (0, 0, 0, 0)
    assert torch.equal(network.conv_stem[1].weight, state["efficientnet._conv_stem.weight"])
    assert torch.equal(network.classifier.bias, state["last_layer.bias"])


def test_every_weight_has_its_place() -> None:
    state = checkpoint()
    assert "efficientnet._blocks.31._project_conv.weight" in state  # 32 blocks
    assert "efficientnet._blocks.0._expand_conv.weight" not in state
    del state["efficientnet._blocks.7._bn1.bias"]
    with pytest.raises(LabError, match=r"lacks 1 weights, among them .*_blocks\.7\._bn1\.bias"):
        efficientnet_b4(state)
    with pytest.raises(LabError, match="no last_layer"):
        efficientnet_b4({})


@pytest.mark.slow
def test_it_computes_what_their_package_computes(tmp_path: Path) -> None:
    package = pytest.importorskip(
        "efficientnet_pytorch", reason="pip install --no-deps efficientnet_pytorch==0.7.1"
    )
    torch.manual_seed(1)
    theirs = package.EfficientNet.from_name("efficientnet-b4")
    theirs._conv_stem = nn.Conv2d(3, 48, kernel_size=3, stride=2, bias=False)
    theirs._fc = nn.Identity()
    for module in theirs.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
    last = nn.Linear(1792, 2)
    state = {f"backbone.efficientnet.{key}": value for key, value in theirs.state_dict().items()}
    state |= {f"backbone.last_layer.{key}": value for key, value in last.state_dict().items()}
    torch.save(state, tmp_path / "ckpt_best.pth")
    pixels = nn.functional.interpolate(torch.randn(2, 3, 12, 12), size=(256, 256)) * 2
    with torch.no_grad():
        features = theirs.eval().extract_features(pixels)
        expected = last(features.mean(dim=(2, 3))).numpy()
    found = from_timm(tmp_path / "ckpt_best.pth", ARCHITECTURE)
    session = onnxruntime.InferenceSession(found.graph)
    assert session.run(None, {"faces": pixels.numpy()})[0] == pytest.approx(expected, abs=1e-5)
