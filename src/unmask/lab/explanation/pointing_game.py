"""Do heat maps point at what was forged? Measured on pseudo-fakes, whose masks are known.

Pointing game (Zhang et al., IJCV 2018): the map's highest place lies in the mask. IoU: of the mask
and the map's highest places, as many as the mask covers. Beside the bundle stand what anybody gets
without looking: a place drawn at random, a map that always points at the middle of the face, the
map of another face; and the same network, untrained.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.stats import binomtest

from unmask._internal.atomic import output_errors
from unmask.bundle.session import Scorer
from unmask.errors import ManifestError
from unmask.faces.alignment import CropSpec, similarity_transform
from unmask.lab.data.samples import Sample
from unmask.lab.evaluation.plots import plot_maps, png
from unmask.lab.recipe import Kind
from unmask.lab.training.pseudo_fakes import blend
from unmask.types import Floats, Image

KIND_SHARES: dict[Kind, float] = {"self": 0.4, "other": 0.4, "resample": 0.2}
"""Which pseudo-fakes are made: those whose forged part is another picture, not a faint trace."""

PART = 0.25
"""Masks smaller than this share of the crop are of a part of the face: the others hold the middle
of every face."""

PARTS, MOST_DRAWN = 200, 20
"""Faces with a forged part that a card's figures are measured on, and how many pseudo-fakes are
drawn for each of them at most."""

IN_MASK = 0.3
"""Of the forged share of a pixel: from there on it belongs to the mask."""

POINTED = 1000
"""Real faces that pseudo-fakes are made of, at most."""

Maps = Callable[[Sequence[Image]], Floats]
"""Crops → heat maps (n, h, w)."""


def make_fakes(
    samples: Sequence[Sample], scorer: Scorer, count: int, seed: int = 0
) -> tuple[list[Image], np.ndarray]:
    """`count` pseudo-fakes of real faces, cut as the bundle sees them.

    Returns crops, and masks (n, S, S) bool.

    Raises ManifestError without real faces.
    """
    reals = [sample for sample in samples if not sample.item.label]
    if len(reals) < 2:
        raise ManifestError("pseudo-fakes need at least two real faces")
    spec, rng = scorer.card.crop, np.random.default_rng(seed)
    kinds = list(KIND_SHARES)
    crops: list[Image] = []
    masks = []
    while len(crops) < count:
        chosen, other = rng.choice(len(reals), 2, replace=False)
        face, marks = cut_sample(reals[chosen], spec)
        kind = kinds[rng.choice(len(kinds), p=list(KIND_SHARES.values()))]
        fake = blend(
            face, marks, kind, rng, cut_sample(reals[other], spec) if kind == "other" else None
        )
        mask = fake.mask >= IN_MASK
        if mask.any():
            crops.append(fake.image)
            masks.append(mask)
    return crops, np.stack(masks)


def cut_sample(sample: Sample, spec: CropSpec) -> tuple[Image, Floats]:
    """The crop that a bundle sees, (size, size, 3), and the landmarks in it, (5, 2)."""
    matrix = similarity_transform(sample.landmarks, spec.target())
    return spec.cut(sample.item.decode(), matrix), spec.carry(sample.landmarks, matrix)


def measure_maps(maps: Floats, masks: np.ndarray) -> dict[str, float]:
    """Pointing-game rate and mean IoU of heat maps against masks.

    - maps: (n, h, w), enlarged bilinearly
    - masks: (n, S, S)
    """
    ious = []
    for heat, mask in zip(maps, masks, strict=True):
        full = _enlarged(heat, mask)
        cut = np.partition(full.ravel(), -int(mask.sum()))[-int(mask.sum())]
        named = full >= cut
        ious.append(float((named & mask).sum() / (named | mask).sum()))
    return {"pointing": float(np.mean(hits(maps, masks))), "iou": float(np.mean(ious))}


def hits(maps: Floats, masks: np.ndarray) -> np.ndarray:
    """Whether each map's highest place lies in its mask: (n,) bool."""
    found = []
    for heat, mask in zip(maps, masks, strict=True):
        full = _enlarged(heat, mask)
        found.append(bool(mask[np.unravel_index(np.argmax(full), full.shape)]))
    return np.array(found)


def _enlarged(heat: Floats, mask: np.ndarray) -> Floats:
    size = mask.shape[::-1]
    return cv2.resize(np.asarray(heat, np.float32), size, interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def measure_for_card(scorer: Scorer, samples: Sequence[Sample]) -> dict[str, Any] | None:
    """What a card says of the bundle's heat maps, its part `heatmaps`; None where it has none.

    Of up to `PARTS` faces of which a part was forged: how often the map's highest place lies in
    that part, how often the middle of the crop does, and how often chance would set them so far
    apart (exact McNemar test, two-sided).

    - samples: faces that were not trained on; the real ones are used

    Raises ManifestError without real faces.
    """
    blank = np.zeros((scorer.card.crop.size, scorer.card.crop.size, 3), np.uint8)
    tried = scorer.score([blank], explain=True).heatmaps
    if tried is None or tried.shape[1] == 1:
        return None
    crops: list[Image] = []
    masks: list[np.ndarray] = []
    for seed in range(MOST_DRAWN):
        more_crops, more_masks = make_fakes(samples, scorer, PARTS, seed)
        for crop, mask in zip(more_crops, more_masks, strict=True):
            if mask.mean() < PART and len(crops) < PARTS:
                crops.append(crop)
                masks.append(mask)
        if len(crops) == PARTS:
            break
    maps = scorer.score(crops, explain=True).heatmaps
    if maps is None or not crops:
        return None
    forged = np.stack(masks)
    ours, middle = hits(maps, forged), hits(_middle(len(crops)), forged)
    only_ours, only_middle = int((ours & ~middle).sum()), int((middle & ~ours).sum())
    apart = only_ours + only_middle
    p = float(binomtest(only_ours, apart).pvalue) if apart else 1.0
    measured = measure_maps(maps, forged)
    return {
        "made_of": sorted({sample.item.dataset for sample in samples if not sample.item.label}),
        "parts": {
            "faces": len(crops),
            "pointing": round(measured["pointing"], 4),
            "middle": round(float(middle.mean()), 4),
            "p": p,
            "iou": round(measured["iou"], 4),
            "middle_iou": round(measure_maps(_middle(len(crops)), forged)["iou"], 4),
        },
    }


def _middle(count: int) -> Floats:
    """`count` maps that are highest in the middle of the crop, whatever the face."""
    y, x = np.mgrid[-1:1:9j, -1:1:9j]
    return np.repeat(-np.hypot(y, x)[None], count, axis=0).astype(np.float32)


def point(
    scorer: Scorer,
    samples: Sequence[Sample],
    out: Path,
    *,
    count: int = 500,
    untrained: Maps | None = None,
) -> dict[str, Any]:
    """Measure a bundle's heat maps on `count` pseudo-fakes of the real faces among `samples`.

    Over all masks, and over those of parts of the face (under a quarter of the crop).

    Writes heatmaps.json and heatmaps.png into `out`.

    - untrained: heat maps of the same network before it learnt

    Raises ManifestError, OutputError.
    """
    crops, masks = make_fakes(samples, scorer, count)
    maps = scorer.score(crops, explain=True).heatmaps
    if maps is None:
        raise ValueError("the scorer gives no heat maps")
    small = masks.mean(axis=(1, 2)) < PART
    figures: dict[str, Any] = {
        "schema": "unmask.heatmaps/1",
        "n": count,
        "n_parts": int(small.sum()),
    }
    figures["model"] = {"name": scorer.id.name, "version": scorer.id.version}
    for name, rival_maps in _rivals(maps, crops, untrained):
        figures[name] = measure_maps(rival_maps, masks)
        if small.any():
            figures[name]["parts"] = measure_maps(rival_maps[small], masks[small])
    with output_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / "heatmaps.json").write_text(json.dumps(figures, indent=2))
        (out / "heatmaps.png").write_bytes(png(plot_maps(crops[:8], masks[:8], maps[:8])))
    return figures


def _rivals(
    maps: Floats, crops: Sequence[Image], untrained: Maps | None
) -> Iterator[tuple[str, Floats]]:
    rng = np.random.default_rng(1)
    yield "bundle", maps
    yield "random", rng.random(maps.shape).astype(np.float32)
    yield "middle", _middle(len(maps))
    yield "of_another_face", np.roll(maps, 1, axis=0)
    if untrained is not None:
        yield "untrained", untrained(crops)


def untrained_maps(backbone: str) -> Maps:
    """Heat maps of a network of this backbone with random weights.

    Raises LabError for an unknown backbone.
    """
    import torch

    from unmask.lab.models.network import build_network
    from unmask.lab.recipe import Model

    torch.manual_seed(0)
    network = build_network(Model(backbone=backbone, weights="random")).eval()

    def maps(crops: Sequence[Image]) -> Floats:
        batches = []
        with torch.inference_mode():
            for start in range(0, len(crops), 16):
                batch = torch.from_numpy(
                    np.stack(crops[start : start + 16]).transpose(0, 3, 1, 2).copy()
                )
                batches.append(network(batch)[1].numpy())
        return np.concatenate(batches)

    return maps
