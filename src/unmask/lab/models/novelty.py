"""What a bundle knows: how far a face lies from those it was trained on, computed in the graph.

Novelty is a Mahalanobis distance, relative to the edge of the known: 1 is what a chosen share of
validation faces keeps within, in whichever data set that is hardest. What is measured are the means
and spreads of the channels of the backbone's first stages, which tell how a picture is made: line,
tone, grain (Lee et al., NeurIPS 2018, take the means of all layers; mean and spread as the style of
a picture: Huang & Belongie, ICCV 2017). Known is what training showed, so augmented faces: a strong
compression must not count as novel.

The last layer tells less: a network that learnt to see traces of forgery and nothing else finds
nothing odd in a drawing (docs/results.md, "Unfamiliar faces"; docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.covariance import LedoitWolf
from torch import Tensor, nn

from unmask.lab.evaluation.metrics import Array
from unmask.lab.models.network import Network
from unmask.types import Image

STAGES = 3
"""Of the backbone, the first. Later ones know what was learnt, not what a picture is."""

LEAST_SPREAD = 0.01
"""Of the median spread of all statistics: one that hardly ever varies is taken to vary so much."""


class NetworkWithNovelty(nn.Module):
    """A network that also tells novelty: faces → logit (N,), heatmap (N, h, w), novelty (N,)."""

    middle: Tensor
    whitening: Tensor

    def __init__(self, network: Network, middle: Array, whitening: Array, edge: float) -> None:
        """Hold what is known, of F statistics.

        - middle: (F,)
        - whitening: (F, F), after which known faces vary by 1 in all directions
        - edge: the distance where the known ends
        """
        super().__init__()
        self.network = network
        self.register_buffer("middle", torch.tensor(middle, dtype=torch.float32))
        self.register_buffer("whitening", torch.tensor(whitening, dtype=torch.float32))
        self._edge = edge

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        places, stages = self.network.places_and_stages(faces, STAGES)
        logit, heatmap = self.network.head(places)
        return logit, heatmap, self.novelty(statistics(stages))

    def novelty(self, values: Tensor) -> Tensor:
        """(N, F) → (N,)."""
        away = (values - self.middle) @ self.whitening
        return away.square().sum(dim=1).sqrt() / self._edge


def statistics(stages: Sequence[Tensor]) -> Tensor:
    """Mean and standard deviation of each channel over its places: S × (N, C, h, w) → (N, F)."""
    columns = []
    for stage in stages:
        mean = stage.mean(dim=(2, 3), keepdim=True)
        variance = (stage - mean).square().mean(dim=(2, 3))
        columns += [mean.flatten(1), (variance + 1e-6).sqrt()]
    return torch.cat(columns, dim=1)


def with_novelty(
    network: Network,
    known: Array,
    judged: Array,
    datasets: Array,
    outside: float,
    smallest: int = 100,
) -> NetworkWithNovelty:
    """The network with novelty.

    - known: statistics of faces as training shows them, (m, F)
    - judged: of validation faces as they are, (n, F); datasets: (n,)

    At most the share `outside` of any data set of at least `smallest` faces, and of all, lies
    beyond 1.
    """
    middle, spread = known.mean(axis=0), known.std(axis=0)
    spread = np.maximum(spread, LEAST_SPREAD * float(np.median(spread)) + 1e-9)
    precision = LedoitWolf().fit((known - middle) / spread).precision_
    stretch, directions = np.linalg.eigh(precision)
    whitening = directions * np.sqrt(np.maximum(stretch, 0)) / spread[:, None]
    unscaled = NetworkWithNovelty(network, middle, whitening, edge=1.0)
    distances = unscaled.novelty(torch.from_numpy(np.asarray(judged, np.float32))).numpy()
    by_data_set = [distances[datasets == name] for name in sorted(set(datasets.tolist()))]
    edge = max(
        float(np.quantile(some, 1 - outside))
        for some in (distances, *by_data_set)
        if len(some) >= min(smallest, len(distances))
    )
    return NetworkWithNovelty(network, middle, whitening, edge)


def statistics_of(network: Network, crops: Sequence[Image], batch: int = 16) -> Array:
    """(n, F) float32 of n crops (S, S, 3) uint8; the network in evaluation mode."""
    batches = []
    with torch.inference_mode():
        for start in range(0, len(crops), batch):
            faces = torch.from_numpy(
                np.ascontiguousarray(np.stack(crops[start : start + batch]).transpose(0, 3, 1, 2))
            )
            _, stages = network.places_and_stages(faces, STAGES)
            batches.append(statistics(stages).numpy())
    return np.concatenate(batches)
