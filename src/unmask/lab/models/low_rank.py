"""Low-rank changes to the matrices of a transformer's last blocks.

Hu et al., "LoRA", ICLR 2022: a matrix W stays as it is, and the layer computes with W + up · down,
of which only the two thin factors learn. They are a hundredth of W, so that a large network can be
tuned and what was learnt is still a small file.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class LowRankLinear(nn.Linear):
    """A linear layer with a low-rank change.

    - down: (rank, in), up: (out, rank); `up` begins with zeros, so that nothing is changed yet

    Its matrix and bias are those of `linear`, under the same names.
    """

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__(linear.in_features, linear.out_features, linear.bias is not None)
        self.weight, self.bias = linear.weight, linear.bias
        self.down = nn.Parameter(torch.empty(rank, linear.in_features))
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        changed = nn.functional.linear(nn.functional.linear(x, self.down), self.up)
        return super().forward(x) + changed


def add_low_rank(backbone: nn.Module, rank: int, blocks: int) -> None:
    """Replace the linear layers of the backbone's last `blocks` blocks."""
    last: list[nn.Module] = list(backbone.blocks)[-blocks:]  # type: ignore[arg-type]
    for block in last:
        linears = [(name, m) for name, m in block.named_modules() if isinstance(m, nn.Linear)]
        for name, linear in linears:
            parent = block.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], LowRankLinear(linear, rank))


@torch.no_grad()
def fold_low_rank(backbone: nn.Module) -> None:
    """Put plain linear layers in the place of low-rank changes: the same function, and faster."""
    for parent in list(backbone.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, LowRankLinear):
                folded = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
                folded.weight.copy_(layer.weight + layer.up @ layer.down)
                if layer.bias is not None:
                    folded.bias.copy_(layer.bias)
                setattr(parent, name, folded)
