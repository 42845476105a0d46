"""Heads: pooled features → logit and heat map.

In each of them the mean of the heat map *is* the logit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unmask.lab import recipe


class Linear(nn.Module):
    """One unit on the mean of the features, or two (softmax) whose difference is the logit.

    The heat map is the class activation map of the fake logit (Zhou et al., CVPR 2016). For two
    units softmax's probability of fake is the sigmoid of the difference, and cross-entropy of one
    is that of the other.
    """

    def __init__(self, channels: int, units: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(channels, units)
        nn.init.zeros_(self.out.bias)

    def penalty(self) -> Tensor | float:
        """What is added to the loss."""
        return 0.0

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, h, w) → logit (N,), heat map (N, h, w)."""
        weight: Tensor = self.out.weight
        bias: Tensor = self.out.bias
        if len(weight) == 2:  # unit 1 is fake
            weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
        heatmap = nn.functional.conv2d(features, weight[:, :, None, None], bias)[:, 0]
        if self.training:
            return nn.functional.linear(self.dropout(features.mean(dim=(2, 3))), weight, bias)[
                :, 0
            ], heatmap
        return heatmap.mean(dim=(1, 2)), heatmap


class Dense(nn.Module):
    """Hidden units with batch norm, (leaky) ReLU and dropout, then one unit.

    Such a head is linear around each input: logit = g·f̄ + c, with f̄ the mean of the features and
    g its gradient. So the heat map is g·f at each place, plus c (HiResCAM: Draelos & Carin, 2020),
    computed in the graph without autograd.
    """

    def __init__(self, channels: int, head: recipe.Head) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels, head.units)
        # as Keras has it
        self.norm = nn.BatchNorm1d(head.units, eps=1e-3, momentum=0.01) if head.batch_norm else None
        self.dropout = nn.Dropout(head.dropout)
        self.out = nn.Linear(head.units, 1)
        self._l2 = head.l2
        self.slope = head.slope if head.activation == "leaky_relu" else 0.0
        for layer in (self.hidden, self.out):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def penalty(self) -> Tensor | float:
        """L2 times the sum of the hidden kernel's squares, as Keras adds it to the loss."""
        return self._l2 * self.hidden.weight.square().sum() if self._l2 else 0.0

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, h, w) → logit (N,), heat map (N, h, w)."""
        pooled = features.mean(dim=(2, 3))  # (N, C)
        hidden = self.hidden(pooled)
        if self.norm is not None:
            hidden = self.norm(hidden)
        active = nn.functional.leaky_relu(hidden, self.slope)
        logit = self.out(self.dropout(active))[:, 0]
        slopes = torch.where(hidden > 0, 1.0, self.slope) * self.out.weight  # (N, units)
        if self.norm is not None:
            assert self.norm.running_var is not None
            slopes = slopes * (self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps))
        gradient = slopes @ self.hidden.weight  # (N, C): of the logit by the pooled features
        rest = logit - (gradient * pooled).sum(dim=1)
        heatmap = (features * gradient[:, :, None, None]).sum(dim=1) + rest[:, None, None]
        return logit, heatmap


def build_head(channels: int, head: recipe.Head) -> Linear | Dense:
    """The head that a recipe asks for."""
    if head.kind == "dense":
        return Dense(channels, head)
    return Linear(channels, 2 if head.kind == "softmax2" else 1, head.dropout)
