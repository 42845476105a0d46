"""What a bundle knows: how far a face lies from those it was trained on, computed in the graph.

Novelty is the Mahalanobis distance of the pooled features from the training faces' mean (Lee et al., NeurIPS 2018, with
one class: real and fake alike are familiar), in the directions in which training faces vary most, divided by the
distance that a chosen share of validation faces keeps within: 1 is the edge of the known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from unmask.lab.backbones import Network
from unmask.lab.metrics import Array
from unmask.types import Image

DIRECTIONS = 64
"""Of the features, and at most one for ten faces: those beyond hardly vary, and dividing by next to nothing would make
noise of them."""


class Told(nn.Module):
    """A network that also tells novelty: faces → logit (N,), heatmap (N, h, w), novelty (N,)."""

    middle: Tensor
    whiten: Tensor

    def __init__(self, network: Network, middle: Array, whiten: Array) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("middle", torch.tensor(middle, dtype=torch.float32))
        self.register_buffer("whiten", torch.tensor(whiten, dtype=torch.float32))

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        places = self.network.places(faces)
        logit, heatmap = self.network.head(places)
        return logit, heatmap, self.novelty(places.mean(dim=(2, 3)))

    def novelty(self, pooled: Tensor) -> Tensor:
        """(N, C) → (N,)."""
        return ((pooled - self.middle) @ self.whiten).square().mean(dim=1).sqrt()


def tell_novelty(network: Network, pooled: Array, weights: Array, outside: float) -> Told:
    """The network with novelty, from the pooled features (n, C) of validation faces and their weights (n,): the share
    `outside` of them lies beyond 1. pooled: see `pooled_features`."""
    share = weights / weights.sum()
    middle = share @ pooled
    spread = (pooled - middle) * np.sqrt(share)[:, None]
    _, lengths, directions = np.linalg.svd(spread, full_matrices=False)
    kept = min(DIRECTIONS, max(1, len(pooled) // 10), int((lengths > 1e-6 * lengths[0]).sum()))
    whiten = directions[:kept].T / lengths[:kept]
    distances = np.sqrt(np.square((pooled - middle) @ whiten).mean(axis=1))
    order = np.argsort(distances)
    edge = distances[order][np.searchsorted(np.cumsum(share[order]), 1 - outside).clip(max=len(order) - 1)]
    return Told(network, middle, whiten / edge)


def pooled_features(network: Network, crops: Sequence[Image], batch: int = 16) -> Array:
    """(n, C) float32 of n crops (S, S, 3) uint8; the network in evaluation mode."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(crops), batch):
            faces = torch.from_numpy(np.ascontiguousarray(np.stack(crops[start : start + batch]).transpose(0, 3, 1, 2)))
            parts.append(network.places(faces).mean(dim=(2, 3)).numpy())
    return np.concatenate(parts)
