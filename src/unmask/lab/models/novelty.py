"""What a bundle knows: how far a face lies from those it was trained on, computed in the graph.

Novelty is the share of a face's pooled features that the directions in which known faces vary do
not explain (the residual of Wang et al., ViM, CVPR 2022), relative to the edge of the known: 1 is
what a chosen share of validation faces keeps within, in whichever data set that is hardest.
Distances within those directions (Mahalanobis) were tried and told less: noise lies in their middle
(docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from unmask.lab.evaluation.metrics import Array
from unmask.lab.models.network import Network
from unmask.types import Image

DIRECTIONS = 200
"""Of the features, and at most one for ten faces."""


class NetworkWithNovelty(nn.Module):
    """A network that also tells novelty: faces → logit (N,), heatmap (N, h, w), novelty (N,)."""

    middle: Tensor
    directions: Tensor

    def __init__(self, network: Network, middle: Array, directions: Array, edge: float) -> None:
        """Hold the subspace of known features.

        - middle: (C,)
        - directions: (C, k), orthonormal
        - edge: the relative residual where the known ends
        """
        super().__init__()
        self.network = network
        self.register_buffer("middle", torch.tensor(middle, dtype=torch.float32))
        self.register_buffer("directions", torch.tensor(directions, dtype=torch.float32))
        self._edge = edge

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        places = self.network.places(faces)
        logit, heatmap = self.network.head(places)
        return logit, heatmap, self.novelty(places.mean(dim=(2, 3)))

    def novelty(self, pooled: Tensor) -> Tensor:
        """(N, C) → (N,)."""
        away = pooled - self.middle
        residual = away - (away @ self.directions) @ self.directions.T
        length = residual.square().sum(dim=1).sqrt()
        return length / (pooled.square().sum(dim=1).sqrt() + 1e-6) / self._edge


def with_novelty(
    network: Network, pooled: Array, datasets: Array, outside: float, smallest: int = 100
) -> NetworkWithNovelty:
    """The network with novelty, fitted to the features of validation faces.

    - features: pooled, (n, C); datasets: (n,)

    At most the share `outside` of any data set of at least `smallest` faces, and of all, lies
    beyond 1.
    """
    middle = pooled.mean(axis=0)
    _, lengths, directions = np.linalg.svd(pooled - middle, full_matrices=False)
    kept = min(DIRECTIONS, max(1, len(pooled) // 10), int((lengths > 1e-6 * lengths[0]).sum()))
    network_with_novelty = NetworkWithNovelty(network, middle, directions[:kept].T, edge=1.0)
    residuals = network_with_novelty.novelty(
        torch.from_numpy(np.asarray(pooled, np.float32))
    ).numpy()
    by_data_set = [residuals[datasets == name] for name in sorted(set(datasets.tolist()))]
    edge = max(
        float(np.quantile(some, 1 - outside))
        for some in (residuals, *by_data_set)
        if len(some) >= min(smallest, len(residuals))
    )
    return NetworkWithNovelty(network, middle, directions[:kept].T, edge)


def pooled_features(network: Network, crops: Sequence[Image], batch: int = 16) -> Array:
    """(n, C) float32 of n crops (S, S, 3) uint8; the network in evaluation mode."""
    batches = []
    with torch.inference_mode():
        for start in range(0, len(crops), batch):
            faces = torch.from_numpy(
                np.ascontiguousarray(np.stack(crops[start : start + batch]).transpose(0, 3, 1, 2))
            )
            batches.append(network.places(faces).mean(dim=(2, 3)).numpy())
    return np.concatenate(batches)
