"""InceptionResNetV1 (Szegedy et al., AAAI 2017, figures 10–14), as in FaceNet's ports.

Without its classifier.

Parameter names follow the state dicts that the field exchanges (FaceNet trained on VGGFace2 or
CASIA-WebFace), so these load as they are; what they hold behind the last block (embedding and
classes) is left out. Input 160², (x − 127.5) / 128.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

CHANNELS = 1792


class Conv(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(
        self, inside: int, outside: int, kernel: Any, stride: int = 1, padding: Any = 0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outside, eps=1e-3, momentum=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.bn(self.conv(x)))


class Residual(nn.Module):
    """Branches side by side, joined, projected to the input's channels, scaled and added."""

    def __init__(
        self, channels: int, branches: list[nn.Module], joined: int, scale: float, relu: bool = True
    ) -> None:
        super().__init__()
        self._count = len(branches)
        for number, branch in enumerate(branches):
            self.add_module(f"branch{number}", branch)
        self.conv2d = nn.Conv2d(joined, channels, 1)
        self._scale, self._relu = scale, relu

    def forward(self, x: Tensor) -> Tensor:
        branches = torch.cat(
            [self.get_submodule(f"branch{number}")(x) for number in range(self._count)], 1
        )
        out = self.conv2d(branches) * self._scale + x
        return nn.functional.relu(out) if self._relu else out


class Reduction(nn.Module):
    """Branches with stride 2 beside max pooling."""

    def __init__(self, branches: list[nn.Module]) -> None:
        super().__init__()
        self._count = len(branches)
        for number, branch in enumerate(branches):
            self.add_module(f"branch{number}", branch)

    def forward(self, x: Tensor) -> Tensor:
        branches = [self.get_submodule(f"branch{number}")(x) for number in range(self._count)]
        return torch.cat([*branches, nn.functional.max_pool2d(x, 3, 2)], 1)


def _block35() -> Residual:
    branches = [
        Conv(256, 32, 1),
        nn.Sequential(Conv(256, 32, 1), Conv(32, 32, 3, padding=1)),
        nn.Sequential(Conv(256, 32, 1), Conv(32, 32, 3, padding=1), Conv(32, 32, 3, padding=1)),
    ]
    return Residual(256, branches, 96, 0.17)


def _block17() -> Residual:
    tall = nn.Sequential(
        Conv(896, 128, 1),
        Conv(128, 128, (1, 7), padding=(0, 3)),
        Conv(128, 128, (7, 1), padding=(3, 0)),
    )
    return Residual(896, [Conv(896, 128, 1), tall], 256, 0.10)


def _block8(scale: float = 0.20, relu: bool = True) -> Residual:
    tall = nn.Sequential(
        Conv(1792, 192, 1),
        Conv(192, 192, (1, 3), padding=(0, 1)),
        Conv(192, 192, (3, 1), padding=(1, 0)),
    )
    return Residual(1792, [Conv(1792, 192, 1), tall], 384, scale, relu)


def _repeat(make: Callable[[], nn.Module], count: int) -> nn.Sequential:
    return nn.Sequential(*(make() for _ in range(count)))


class InceptionResnetV1(nn.Module):
    """(N, 3, S, S) → (N, 1792, h, w), S ≥ 75; 3×3 places at 160²."""

    num_features = CHANNELS

    def __init__(self) -> None:
        super().__init__()
        self.conv2d_1a = Conv(3, 32, 3, 2)
        self.conv2d_2a = Conv(32, 32, 3)
        self.conv2d_2b = Conv(32, 64, 3, padding=1)
        self.maxpool_3a = nn.MaxPool2d(3, 2)
        self.conv2d_3b = Conv(64, 80, 1)
        self.conv2d_4a = Conv(80, 192, 3)
        self.conv2d_4b = Conv(192, 256, 3, 2)
        self.repeat_1 = _repeat(_block35, 5)
        long = nn.Sequential(Conv(256, 192, 1), Conv(192, 192, 3, padding=1), Conv(192, 256, 3, 2))
        self.mixed_6a = Reduction([Conv(256, 384, 3, 2), long])
        self.repeat_2 = _repeat(_block17, 10)
        branches: list[nn.Module] = [
            nn.Sequential(Conv(896, 256, 1), Conv(256, 384, 3, 2)),
            nn.Sequential(Conv(896, 256, 1), Conv(256, 256, 3, 2)),
            nn.Sequential(Conv(896, 256, 1), Conv(256, 256, 3, padding=1), Conv(256, 256, 3, 2)),
        ]
        self.mixed_7a = Reduction(branches)
        self.repeat_3 = _repeat(_block8, 5)
        self.block8 = _block8(1.0, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return x


def from_keras(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """FaceNet's Keras weights (`Block35_1_Branch_1_Conv2d_0a_1x1/kernel`, …) under our names.

    Its batch norms have no scale; kernels are (height, width, in, out). Layers behind the last
    block are left out.
    """
    state: dict[str, Tensor] = {}
    for key, place in keras_names().items():
        conv = arrays.get(f"{key}/kernel")
        if conv is None:
            raise KeyError(key)
        kernel = torch.from_numpy(np.ascontiguousarray(conv.transpose(3, 2, 0, 1)))
        if f"{key}/bias" in arrays:
            state |= {
                f"{place}.weight": kernel,
                f"{place}.bias": torch.from_numpy(arrays[f"{key}/bias"].copy()),
            }
            continue
        norm = {
            name: torch.from_numpy(arrays[f"{key}_BatchNorm/{name}"].copy())
            for name in ("beta", "moving_mean", "moving_variance")
        }
        state |= {
            f"{place}.conv.weight": kernel,
            f"{place}.bn.weight": torch.ones_like(norm["beta"]),
            f"{place}.bn.bias": norm["beta"],
            f"{place}.bn.running_mean": norm["moving_mean"],
            f"{place}.bn.running_var": norm["moving_variance"],
            f"{place}.bn.num_batches_tracked": torch.tensor(0),
        }
    return state


def keras_names() -> dict[str, str]:
    """Keras's layer names and the places of the same layers here."""
    names = {
        f"Conv2d_{tag}": f"conv2d_{tag.split('_')[0]}"
        for tag in ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3", "4b_3x3")
    }
    square = (("Branch_0_Conv2d_1x1", "branch0"), ("Branch_1_Conv2d_0a_1x1", "branch1.0"))
    block35 = (
        *square,
        ("Branch_1_Conv2d_0b_3x3", "branch1.1"),
        ("Branch_2_Conv2d_0a_1x1", "branch2.0"),
        ("Branch_2_Conv2d_0b_3x3", "branch2.1"),
        ("Branch_2_Conv2d_0c_3x3", "branch2.2"),
        ("Conv2d_1x1", "conv2d"),
    )
    block17 = (
        *square,
        ("Branch_1_Conv2d_0b_1x7", "branch1.1"),
        ("Branch_1_Conv2d_0c_7x1", "branch1.2"),
        ("Conv2d_1x1", "conv2d"),
    )
    block8 = (
        *square,
        ("Branch_1_Conv2d_0b_1x3", "branch1.1"),
        ("Branch_1_Conv2d_0c_3x1", "branch1.2"),
        ("Conv2d_1x1", "conv2d"),
    )
    for kind, parts, count, home in (
        ("Block35", block35, 5, "repeat_1"),
        ("Block17", block17, 10, "repeat_2"),
        ("Block8", block8, 5, "repeat_3"),
    ):
        for number in range(count):
            names |= {
                f"{kind}_{number + 1}_{theirs}": f"{home}.{number}.{ours}" for theirs, ours in parts
            }
    names |= {f"Block8_6_{theirs}": f"block8.{ours}" for theirs, ours in block8}
    mixed_6a = (
        ("Branch_0_Conv2d_1a_3x3", "branch0"),
        ("Branch_1_Conv2d_0a_1x1", "branch1.0"),
        ("Branch_1_Conv2d_0b_3x3", "branch1.1"),
        ("Branch_1_Conv2d_1a_3x3", "branch1.2"),
    )
    mixed_7a = (("Branch_0_Conv2d_0a_1x1", "branch0.0"), ("Branch_0_Conv2d_1a_3x3", "branch0.1"),
                ("Branch_1_Conv2d_0a_1x1", "branch1.0"), ("Branch_1_Conv2d_1a_3x3", "branch1.1"),
                ("Branch_2_Conv2d_0a_1x1", "branch2.0"), ("Branch_2_Conv2d_0b_3x3", "branch2.1"),
                ("Branch_2_Conv2d_1a_3x3", "branch2.2"))  # fmt: skip
    names |= {f"Mixed_6a_{theirs}": f"mixed_6a.{ours}" for theirs, ours in mixed_6a}
    names |= {f"Mixed_7a_{theirs}": f"mixed_7a.{ours}" for theirs, ours in mixed_7a}
    return names
