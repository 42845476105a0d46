"""The lab: data set on disk → manifest → train → evaluate → export a bundle.

The only place that may import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unmask.lab.audit.leakage import find_leaks
    from unmask.lab.data.manifest import read_manifests
    from unmask.lab.evaluation.evaluate import evaluate_detectors
    from unmask.lab.export.export import export_run
    from unmask.lab.recipe import load_recipe
    from unmask.lab.training.train import train

__all__ = [
    "evaluate_detectors",
    "export_run",
    "find_leaks",
    "load_recipe",
    "read_manifests",
    "train",
]

_HOMES = {
    "evaluate_detectors": "unmask.lab.evaluation.evaluate",
    "export_run": "unmask.lab.export.export",
    "find_leaks": "unmask.lab.audit.leakage",
    "load_recipe": "unmask.lab.recipe",
    "read_manifests": "unmask.lab.data.manifest",
    "train": "unmask.lab.training.train",
}


def __getattr__(name: str) -> Any:
    # imported on first use: reading a manifest needs no torch
    if name not in _HOMES:
        raise AttributeError(f"module 'unmask.lab' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
