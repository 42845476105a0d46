"""Who is judged worse? Rates of errors by any column of a manifest, with exact intervals.

A rate over everybody hides a group of people that is accused more often than others. How far the
rates of small groups may be chance, their intervals say; that they differ says nothing of why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from unmask.errors import ManifestError
from unmask.lab.data.manifest import Item
from unmask.lab.evaluation.metrics import Array
from unmask.lab.evaluation.rates import exact_rate

NOT_GIVEN = "not given"
"""Of rows that have nothing in the column."""

AGES = (0, 3, 13, 20, 30, 40, 50, 60, 70)
"""Where groups of ages begin, in years."""

_UTKFACE = re.compile(r"(\d{1,3})_([01])_([0-4])_")
_SEXES = ("male", "female")
_ANCESTRIES = ("white", "black", "asian", "indian", "others")


def by_column(
    items: Sequence[Item],
    scores: Array,
    column: str,
    *,
    real_threshold: float,
    fake_threshold: float,
) -> list[dict[str, Any]]:
    """Of each value and class: how many are called the opposite, and how many stay open.

    - scores: of the items, NaN where nothing was judged
    - column: of the manifest; of UTKFace also `age_group`, `sex` and `ancestry`, which its file
      names hold

    """
    values = np.array([value_of(item, column) for item in items])
    labels = np.array([item.label for item in items])
    judged = ~np.isnan(scores)
    rows = []
    for label, word in ((0, "real"), (1, "fake")):
        for value in sorted(set(values[judged & (labels == label)].tolist()), key=_order):
            own = scores[judged & (labels == label) & (values == value)]
            called_fake, called_real = own >= fake_threshold, own <= real_threshold
            rows.append(
                {
                    "value": value,
                    "label": word,
                    "opposite": exact_rate(called_real if label else called_fake),
                    "undecided": exact_rate(~called_fake & ~called_real),
                }
            )
    return rows


def require_column(items: Sequence[Item], column: str) -> None:
    """Raise ManifestError where no row has the column."""
    if all(value_of(item, column) == NOT_GIVEN for item in items):
        known = sorted({key for item in items for key in item.columns})
        raise ManifestError(
            f"no row has the column {column!r}; there are: {', '.join(known) or 'none'}"
        )


def value_of(item: Item, column: str) -> str:
    """What a row has in a column, in words."""
    if column in item.columns:
        return str(item.columns[column])
    found = _UTKFACE.match(item.name.rsplit("/", 1)[-1]) if item.dataset == "utkface" else None
    if found is None:
        return NOT_GIVEN
    age = int(found[1])
    begins = [start for start in AGES if start <= age]
    ends = [start - 1 for start in AGES if start > age]
    named = {
        "age_group": f"{begins[-1]}–{ends[0]}" if ends else f"{begins[-1]} or older",
        "sex": _SEXES[int(found[2])],
        "ancestry": _ANCESTRIES[int(found[3])],
    }
    return named.get(column, NOT_GIVEN)


def _order(value: str) -> tuple[int, str]:
    """Numbers and groups of ages in their order, words after them."""
    number = re.match(r"\d+", value)
    return (int(number[0]) if number else 1_000_000, value)
