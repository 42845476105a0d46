"""The worst errors of a detector, to be looked at: surest of what is wrong, first."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from unmask.errors import ManifestError
from unmask.lab.data.manifest import Item
from unmask.lab.evaluation.metrics import Array
from unmask.lab.evaluation.plots import data_uri

SHOWN = 12
"""Errors of each kind."""

SIDE = 112
"""Of a thumbnail, in pixels."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """An item that is called the wrong name, or comes nearest to it.

    - name: of the item, without its folders
    - dataset, method: where it is from
    - probability: of fake, in words
    - picture: for a page, or empty where it is a video
    """

    name: str
    dataset: str
    method: str
    probability: str
    picture: str


def worst_errors(items: Sequence[Item], scores: Array) -> list[tuple[str, list[Mistake]]]:
    """Real faces with the highest probability of fake, and fakes with the lowest.

    A title and the errors of each kind, on the wrong side of 0.5.
    """
    labels = np.array([item.label for item in items])
    judged = ~np.isnan(scores)
    accused = np.flatnonzero(judged & (labels == 0) & (scores >= 0.5))
    missed = np.flatnonzero(judged & (labels == 1) & (scores < 0.5))
    kinds = (
        ("Real, and most surely taken for fake", accused[np.argsort(-scores[accused])]),
        ("Fake, and most surely taken for real", missed[np.argsort(scores[missed])]),
    )
    return [
        (f"{title} ({len(rows):,} in all)", [_mistake(items[r], scores[r]) for r in rows[:SHOWN]])
        for title, rows in kinds
    ]


def _mistake(item: Item, score: float) -> Mistake:
    return Mistake(
        Path(item.name).name, item.dataset, item.method, f"{score:.3f}", _thumbnail(item)
    )


def _thumbnail(item: Item) -> str:
    try:
        picture = Image.fromarray(item.decode())
    except (ManifestError, OSError, ValueError):
        return ""  # a video, or a file that broke
    picture.thumbnail((2 * SIDE, 2 * SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return data_uri(file.getvalue(), "image/jpeg")
