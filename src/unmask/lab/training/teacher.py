"""A trained network as a teacher: what it says of a face is learnt beside the label.

Hinton et al., "Distilling the knowledge in a neural network", 2015. "Probably fake, but not surely"
teaches a small network more than a bare label, and a large teacher recognises kinds of fakes of
which there are few pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from unmask.lab.models.network import Network  # before Lightning, which imports torchvision

# isort: split
import torch
from torch import Tensor, nn

from unmask.errors import LabError
from unmask.lab import recipe
from unmask.lab.training.checkpoint import load_run


class Teacher(nn.Module):
    """A network that answers, and does not learn.

    forward: faces (N, 3, S, S) uint8, RGB → probability of fake (N,). S is the student's; faces are
    resized to `side`, as a pair of networks does that shares a crop (`unmask.lab.models.pair`).
    """

    def __init__(self, network: Network, side: int) -> None:
        super().__init__()
        self.network = network.eval()
        self.side = side
        self.requires_grad_(False)

    @classmethod
    def of_run(cls, run: Path, crop: recipe.Crop) -> Self:
        """The best network of a run.

        - crop: the student's

        Raises LabError where there is no such run, or it saw faces cut another way.
        """
        its_recipe, network, _ = load_run(run)
        theirs, ours = its_recipe.crop, crop
        if (theirs.margin, theirs.centre_y) != (ours.margin, ours.centre_y):
            raise LabError(
                f"the teacher in {run} saw faces cut with margin {theirs.margin} and centre_y"
                f" {theirs.centre_y}, and this recipe cuts them with {ours.margin} and"
                f" {ours.centre_y}"
            )
        return cls(network, theirs.size)

    def train(self, mode: bool = True) -> Self:
        """A teacher stays in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, faces: Tensor) -> Tensor:
        pixels = faces.float()
        if faces.shape[-1] != self.side:
            size = (self.side, self.side)
            pixels = nn.functional.interpolate(pixels, size, mode="bicubic", antialias=True)
        logits, _ = self.network(pixels)
        return torch.sigmoid(logits.float())
