"""The leak gate: what stands in more than one split, so that a test would measure memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from unmask.lab.data.manifest import Item
from unmask.lab.data.near_duplicates import PerceptualHash, near_duplicates


@dataclass(frozen=True, slots=True)
class Leak:
    """One kind of thing that crosses splits.

    - kind: `group`, `identity`, `lookalike` or `near_duplicate`
    - count: of such groups, identities or pairs of pictures
    - pairs: rows of the items, two of each that stand in different splits
    """

    kind: str
    count: int
    pairs: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Leaks:
    """All leaks of a list of items; false where there is none."""

    found: tuple[Leak, ...]
    items: tuple[Item, ...]

    def __bool__(self) -> bool:
        return bool(self.found)

    def words(self) -> list[str]:
        """One sentence a kind, with an example."""
        return [
            f"{leak.count} {NAMES[leak.kind]} in more than one split, e.g. {self._example(leak)}"
            for leak in self.found
        ]

    def error_message(self) -> str:
        """Why training stops."""
        return (
            "the splits leak: "
            + "; ".join(self.words())
            + ". What is measured on such splits is memory. `unmask data split` makes clean ones;"
            " --allow-leak trains anyway, and the bundle's card says so for ever"
        )

    def _example(self, leak: Leak) -> str:
        a, b = (self.items[i] for i in leak.pairs[0])
        return f"{a.name} ({a.split}) and {b.name} ({b.split})"


NAMES = {
    "group": "groups",
    "identity": "identities that the set names",
    "lookalike": (
        "people, told by their faces (an estimate: children and generated faces look alike),"
    ),
    "near_duplicate": "pairs of near-duplicate pictures",
}


def find_leaks(
    items: Sequence[Item], prints: PerceptualHash | None = None, people: Sequence[Any] | None = None
) -> Leaks:
    """What the splits of these items have in common: groups, identities, near-duplicates, people.

    - prints: perceptual hashes, (n, 32)
    - people: who is in each item, from `unmask.lab.audit.identities`; None: not known
    """
    leaks = [
        _crossing("group", items, [[(item.dataset, item.group)] for item in items]),
        _crossing(
            "identity", items, [[(item.dataset, who) for who in item.identities] for item in items]
        ),
    ]
    if people is not None:
        leaks.append(
            _crossing("lookalike", items, [[] if who is None else [who] for who in people])
        )
    if prints is not None:
        leaks.append(_near(items, prints))
    return Leaks(tuple(leak for leak in leaks if leak.count), tuple(items))


def _crossing(kind: str, items: Sequence[Item], keys: Sequence[Sequence[Hashable]]) -> Leak:
    # the first row of each key in each split
    first: dict[Hashable, dict[str, int]] = defaultdict(dict)
    for row, (item, mine) in enumerate(zip(items, keys, strict=True)):
        for key in mine:
            first[key].setdefault(item.split, row)
    crossing = [tuple(rows.values())[:2] for rows in first.values() if len(rows) > 1]
    return Leak(kind, len(crossing), tuple((a, b) for a, b in crossing))


def _near(items: Sequence[Item], prints: PerceptualHash) -> Leak:
    splits = np.array([item.split for item in items])
    pairs = []
    for a, b in combinations(sorted(set(splits)), 2):
        left, right = np.flatnonzero(splits == a), np.flatnonzero(splits == b)
        pairs += [
            (bits, int(left[i]), int(right[j]))
            for i, j, bits in near_duplicates(prints[left], prints[right])
        ]
    pairs.sort()
    return Leak("near_duplicate", len(pairs), tuple((i, j) for _, i, j in pairs))
