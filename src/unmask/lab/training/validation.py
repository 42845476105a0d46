"""What is measured of a network while it is trained: the validation split, and sources left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import unmask.lab.models.network  # noqa: F401  (before Lightning, which imports torchvision)

# isort: split
import numpy as np
import torch
from lightning.fabric import Fabric
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.utils.data import DataLoader

from unmask.errors import LabError
from unmask.lab.data.manifest import Item
from unmask.lab.evaluation.metrics import Array
from unmask.lab.evaluation.sources import SMALLEST, by_source, summary


class Validation:
    """Faces that measure a network, shared out over all processes.

    - loader: of this process: every `world_size`-th face from its rank on
    - items: of all faces, validation first
    - validation_faces: how many of them are of the validation split; those behind are of sources
      left out

    Raises LabError where sources are left out, but none of fakes, or no real faces, to measure by.
    """

    def __init__(
        self,
        loader: DataLoader[Any],
        items: Sequence[Item],
        validation_faces: int,
        fabric: Fabric,
    ) -> None:
        self._loader, self._items, self._fabric = loader, items, fabric
        self._validation_faces = validation_faces
        self._left_out = {item.dataset for item in items[validation_faces:]}
        if self._left_out:
            blank = np.zeros(len(items), np.float32)
            self._left_out_figures(blank)  # is there something to measure?

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Loss, accuracy at 0.5 and AUC of the validation split.

        Where sources are left out, `left_out_auc` and `left_out_worst` besides.
        """
        logits = self._logits(network)
        n = self._validation_faces
        labels = torch.tensor([float(item.label) for item in self._items[:n]])
        validated = torch.from_numpy(logits[:n])
        both = 0 < float(labels.sum()) < n
        figures = {
            "validation_loss": float(
                nn.functional.binary_cross_entropy_with_logits(validated, labels)
            ),
            "validation_accuracy": float(((validated > 0) == (labels > 0.5)).float().mean()),
            "validation_auc": (
                float(roc_auc_score(labels.numpy(), logits[:n])) if both else float("nan")
            ),
        }
        return figures | (self._left_out_figures(logits) if self._left_out else {})

    def _left_out_figures(self, logits: Array) -> dict[str, float]:
        """Mean and lowest AUC of the sources of fakes left out, against every source of reals.

        The reals are those left out and those of the validation split.
        """
        sources = by_source(self._items, logits, real_threshold=0, fake_threshold=0)
        fakes = summary([one for one in sources if one.source in self._left_out]).get("fake")
        if fakes is None:
            raise LabError(
                "train.monitor left_out_auc needs, among the data sets of data.leave_out, one of at"
                f" least {SMALLEST} fakes, and as many real faces of one data set"
            )
        return {"left_out_auc": fakes["auc_mean"], "left_out_worst": fakes["auc_worst"]}

    def _logits(self, network: nn.Module) -> Array:
        """Of all faces, in their order, gathered from all processes: (n,) float32."""
        fabric = self._fabric
        network.eval()
        rows: list[Tensor] = []
        with torch.inference_mode():
            for faces, _, _ in self._loader:
                with fabric.autocast():
                    logits = network(faces.to(fabric.device))[0]
                rows.append(logits.float().cpu())
        own = torch.cat(rows).numpy() if rows else np.zeros(0, np.float32)
        parts: list[Any] = [own]
        if fabric.world_size > 1:
            parts = [None] * fabric.world_size
            torch.distributed.all_gather_object(parts, own)
        all_logits = np.empty(len(self._items), np.float32)
        for rank, part in enumerate(parts):
            all_logits[rank :: fabric.world_size] = part
        return all_logits
