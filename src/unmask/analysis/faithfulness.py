"""Grade a heat map: does the score rest on the places that it names?

Deletion and insertion (Petsiuk, Das & Saenko, BMVC 2018): the places that a map names most strongly
are taken away, or they alone are left; what is taken away is blurred. A faithful map makes the
logit fall fast in the first case and rise fast in the second. A network may hold any colours up to
the eye, so each map is held against `trials` random ones: itself, moved and turned, so that they
are as smooth and as patchy. A map is called faithful only if at most P_FAITHFUL of all maps, it
among them, do as well: an exact permutation test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from unmask.bundle import Scorer
from unmask.types import Faithfulness, Floats, Image

SHARES = (0.1,)
"""Parts of the face that are taken away, or left: of 0.1, 0.25 and 0.15 with 0.4, the first told
most maps from random ones."""

TRIALS = 19
P_FAITHFUL = 0.05


def measure_faithfulness(
    scorer: Scorer,
    crop: Image,
    heatmap: Floats,
    *,
    trials: int = TRIALS,
    shares: Sequence[float] = SHARES,
    seed: int = 0,
) -> Faithfulness:
    """Grade one map (h, w) of the logit of a crop (size, size, 3)."""
    rng = np.random.default_rng(seed)
    maps = [np.asarray(heatmap, np.float32), *random_maps(heatmap, trials, rng)]
    blurred = blur(crop)
    ends = scorer.score([crop, blurred]).logits
    views = [view for some in maps for view in _views(crop, blurred, some, shares)]
    # map, taken away or left, share
    logits = scorer.score(views).logits.reshape(len(maps), 2, len(shares))
    deletion, insertion = logits[:, 0], logits[:, 1]
    effects = (insertion - deletion).mean(axis=1)
    p = float((effects >= effects[0]).mean())

    def curve(middle: Any, start: Any, end: Any) -> tuple[float, ...]:
        return (float(start), *map(float, middle), float(end))

    return Faithfulness(
        shares=(0.0, *shares, 1.0),
        deletion=curve(deletion[0], ends[0], ends[1]),
        insertion=curve(insertion[0], ends[1], ends[0]),
        random_deletion=curve(deletion[1:].mean(axis=0), ends[0], ends[1]),
        random_insertion=curve(insertion[1:].mean(axis=0), ends[1], ends[0]),
        effect=float(effects[0]),
        random_effect=float(effects[1:].mean()),
        p=p,
        trials=trials,
        faithful=p <= P_FAITHFUL + 1e-9,
    )


def random_maps(heatmap: Floats, count: int, rng: np.random.Generator) -> list[Floats]:
    """`count` different maps with the same values, moved in a ring and turned or mirrored."""
    height, width = heatmap.shape
    turns = 8 if height == width else 4
    ways = [(dy, dx, turn) for dy in range(height) for dx in range(width) for turn in range(turns)][
        1:
    ]
    chosen = rng.choice(len(ways), count, replace=len(ways) < count)
    maps = []
    for number in chosen:
        dy, dx, turn = ways[number]
        quarter = turn % (turns // 2) * (1 if height == width else 2)
        moved = np.rot90(np.roll(heatmap, (dy, dx), (0, 1)), quarter)
        maps.append(np.asarray(moved[:, ::-1] if turn >= turns // 2 else moved, np.float32))
    return maps


def blur(crop: Image) -> Image:
    """The crop without detail."""
    return cv2.GaussianBlur(crop, (0, 0), crop.shape[0] / 12)  # type: ignore[return-value]


def _views(crop: Image, blurred: Image, heatmap: Floats, shares: Sequence[float]) -> list[Image]:
    """Crops with the map's strongest places removed, then with those alone, share by share."""
    masks = [_strongest(heatmap, share, crop.shape[0]) for share in shares]
    gone = [_mixed(blurred, crop, mask) for mask in masks]
    left = [_mixed(crop, blurred, mask) for mask in masks]
    return [*gone, *left]


def _strongest(heatmap: Floats, share: float, side: int) -> Floats:
    """1 in the strongest `share` of the map, 0 elsewhere, with soft edges: (side, side)."""
    count = max(1, round(share * heatmap.size))
    mask = np.zeros(heatmap.size, np.float32)
    mask[np.argsort(-heatmap, axis=None, kind="stable")[:count]] = 1
    full = cv2.resize(mask.reshape(heatmap.shape), (side, side), interpolation=cv2.INTER_NEAREST)
    return cv2.GaussianBlur(full, (0, 0), side / 48)  # type: ignore[return-value]


def _mixed(inside: Image, outside: Image, mask: Floats) -> Image:
    weight = mask[..., None]
    return np.asarray(inside * weight + outside * (1 - weight) + 0.5, np.uint8)
