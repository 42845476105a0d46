"""Grad-CAM for checkpoints, beside the map that bundles carry; both are tested.

It is what the fifth origin system shows.

Grad-CAM (Selvaraju et al., ICCV 2017) by Captum. At the last layer under a linear head it is the
class-activation map without its negative part; at an earlier layer, as the origin system takes it,
it is another map.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from captum.attr import LayerGradCam

from unmask._internal.atomic import write_atomically
from unmask.analysis.faithfulness import measure_faithfulness
from unmask.bundle.session import Scored
from unmask.errors import LabError, NoFramesError
from unmask.faces import FaceFinder, find_main_face
from unmask.faces.alignment import crop_face
from unmask.lab.evaluation.plots import plot_explanations, png
from unmask.lab.models.network import Network
from unmask.lab.training.checkpoint import load_run
from unmask.media import open_media
from unmask.types import Faithfulness, Floats, Image


class NetworkScorer:
    """A network as `unmask.analysis.faithfulness.measure_faithfulness` wants it."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def score(self, crops: Sequence[Image], *, explain: bool = False) -> Scored:
        """Logits (n,) and heat maps (n, h, w) of crops (size, size, 3) uint8."""
        logits, maps = [], []
        with torch.inference_mode():
            for start in range(0, len(crops), 16):
                logit, heatmap = self.network(_batch(crops[start : start + 16]))
                logits.append(logit.numpy())
                maps.append(heatmap.numpy())
        return Scored(np.concatenate(logits), np.concatenate(maps) if explain else None, None)


def grad_cam(network: Network, crops: Sequence[Image], layer: str | None = None) -> Floats:
    """Grad-CAM maps (n, h, w) ≥ 0 of crops (size, size, 3): what raises the logit at the layer.

    - layer: by default the backbone's last

    - layer: as the backbone names its modules

    Raises LabError for an unknown layer, and one without places.
    """
    modules = dict(network.backbone.named_modules())
    if layer is not None and layer not in modules:
        blocks = ", ".join(name for name, _ in network.backbone.named_children())
        raise LabError(f"the backbone has no layer {layer!r}; its blocks: {blocks}")
    module = network.backbone if layer is None else modules[layer]
    explainer = LayerGradCam(lambda faces: network(faces)[0], module)
    try:
        with torch.enable_grad():
            faces = _batch(crops).to(torch.float32).requires_grad_()
            attribution = explainer.attribute(faces, relu_attributions=True)
    except (AssertionError, RuntimeError, IndexError, TypeError) as error:
        raise LabError(f"there is no Grad-CAM at {layer or 'the last layer'}: {error}") from error
    maps = attribution.detach().numpy()
    if maps.ndim != 4 or maps.shape[1] != 1:
        raise LabError(
            f"{layer or 'the last layer'} has no places: its output gives a map of shape"
            f" {maps.shape}"
        )
    return np.asarray(maps[:, 0], np.float32)


def explain_run(
    run: Path,
    pictures: Sequence[Path],
    out: Path,
    finder: FaceFinder,
    *,
    layer: str | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """For each picture a PNG with the face and both maps, each with its test; and explain.json.

    Raises LabError for what is no run, MediaError for a picture that cannot be read or has no face,
    OutputError.
    """
    recipe, network, _ = load_run(run)
    scorer, rows = NetworkScorer(network), []
    for path in pictures:
        with open_media(path) as source:
            (frame,) = source.frames(1)
        face = find_main_face(finder, frame.image)
        if face is None:
            raise NoFramesError(f"{path}: no face was found")
        crop = crop_face(frame.image, face, recipe.crop.spec())
        scored = scorer.score([crop], explain=True)
        assert scored.heatmaps is not None
        maps = {
            "Grad-CAM": grad_cam(network, [crop], layer)[0],
            "class-activation map": scored.heatmaps[0],
        }
        grades = {name: measure_faithfulness(scorer, crop, heat) for name, heat in maps.items()}  # type: ignore[arg-type]
        logit = float(scored.logits[0])
        titles = {name: f"{name}: {_words(grade)}" for name, grade in grades.items()}
        write_atomically(
            out / f"{path.stem}.png",
            png(plot_explanations(crop, f"logit {logit:+.2f}", maps, titles)),
            make_folder=True,
        )
        log(f"{path}: logit {logit:+.2f}; " + "; ".join(titles.values()))
        rows.append(
            {"picture": str(path), "logit": logit}
            | {name: _row(grade) for name, grade in grades.items()}
        )
    tree = {
        "schema": "unmask.explanations/1",
        "run": str(run),
        "layer": layer or "last",
        "rows": rows,
    }
    write_atomically(out / "explain.json", json.dumps(tree, indent=2), make_folder=True)
    return rows


def _words(found: Faithfulness) -> str:
    rank = f"rank {round(found.p * (found.trials + 1))} of {found.trials + 1}"
    return f"faithful, {rank}" if found.faithful else f"not faithful, {rank}"


def _row(found: Faithfulness) -> dict[str, Any]:
    return {
        "faithful": found.faithful,
        "p": found.p,
        "effect": round(found.effect, 4),
        "random_effect": round(found.random_effect, 4),
    }


def _batch(crops: Sequence[Image]) -> torch.Tensor:
    return torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy())
