"""Train, validation and test: no group, person or picture in two of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from unmask.errors import ManifestError
from unmask.lab.data.manifest import Item
from unmask.lab.data.near_duplicates import PerceptualHash, near_duplicates

TIES = ("row", "group", "identity", "near_duplicate")
"""What may hold rows together: `row` nothing (for showing what that is worth), `group` the source
video and all swaps made of it, `identity` the people that the set names or
`unmask.lab.audit.identities` finds, `near_duplicate` the same picture."""


def parse_shares(text: str) -> dict[str, float]:
    """`train=0.8,validation=0.2` → shares.

    Raises ManifestError unless they are above 0 and sum to 1.
    """
    try:
        shares = {
            name.strip(): float(value)
            for name, value in (part.split("=") for part in text.split(","))
        }
    except ValueError as error:
        raise ManifestError(
            f"shares read like train=0.7,validation=0.15,test=0.15, but got {text!r}"
        ) from error
    if any(share <= 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-6:
        raise ManifestError(f"shares must be above 0 and sum to 1, but are {shares}")
    return shares


def split_items(
    items: Sequence[Item],
    shares: Mapping[str, float],
    by: Sequence[str] = ("group",),
    *,
    seed: int = 1,
    prints: PerceptualHash | None = None,
    people: Sequence[int | None] | None = None,
) -> list[Item]:
    """The items with new splits, in their order; what is tied by any of `by` stays together.

    - prints: (n, 32), needed for `near_duplicate`
    - people: numbers, used for `identity` beside what the set names

    The same seed gives the same splits. Real and fake of each data set are shared out alike, as far
    as the ties allow. Raises ManifestError where so much is tied together that the shares cannot be
    met.
    """
    if unknown := [tie for tie in by if tie not in TIES]:
        raise ManifestError(
            f"rows cannot be tied by {unknown[0]!r}; the ties are {', '.join(TIES)}"
        )
    components = tie(items, by, prints, people)
    largest = max(len(rows) for rows in components)
    if largest > max(shares.values()) * len(items) * 1.1:
        raise ManifestError(
            f"{largest} of {len(items)} rows are tied together by {', '.join(by)}, more than the"
            f" largest share ({max(shares.values()):.0%}): such rows cannot be parted. Leave out"
            " one of the ties (where everybody is swapped with everybody, `identity`)"
        )
    rng = np.random.default_rng(seed)
    order = sorted((components[i] for i in rng.permutation(len(components))), key=len, reverse=True)
    kinds = [(item.dataset, item.label) for item in items]
    totals, placed = Counter(kinds), {name: Counter[Hashable]() for name in shares}
    result: list[str] = [""] * len(items)
    for rows in order:
        inside = Counter(kinds[row] for row in rows)
        # to the split that is furthest behind its share of the kinds in this component
        behind = {
            name: sum(
                n * (share - placed[name][kind] / totals[kind]) / share
                for kind, n in inside.items()
            )
            for name, share in shares.items()
        }
        chosen = max(behind, key=lambda name: behind[name])
        placed[chosen].update(inside)
        for row in rows:
            result[row] = chosen
    if empty := [name for name in shares if not placed[name]]:
        raise ManifestError(
            f"split {empty[0]!r} would be empty: {len(items)} rows in {len(components)} tied"
            " bundles"
        )
    return [replace(item, split=split) for item, split in zip(items, result, strict=True)]


def tie(
    items: Sequence[Item],
    by: Sequence[str],
    prints: PerceptualHash | None,
    people: Sequence[int | None] | None,
) -> list[list[int]]:
    """The rows that hang together, directly or through others; in the order of their first row."""
    parent = list(range(len(items)))

    def find(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    def join(a: int, b: int) -> None:
        a, b = find(a), find(b)
        parent[max(a, b)] = min(a, b)

    keys: list[list[Any]] = [[] for _ in items]
    if "group" in by:
        for row, item in enumerate(items):
            keys[row].append(("group", item.dataset, item.group))
    if "identity" in by:
        for row, item in enumerate(items):
            keys[row] += [("named", item.dataset, who) for who in item.identities]
            if people is not None and people[row] is not None:
                keys[row].append(("found", people[row]))
    first: dict[Any, int] = {}
    for row, mine in enumerate(keys):
        for key in mine:
            join(row, first.setdefault(key, row))
    if "near_duplicate" in by:
        if prints is None:
            raise ValueError("near_duplicate needs prints")
        for a, b, _ in near_duplicates(prints):
            join(a, b)
    members: dict[int, list[int]] = defaultdict(list)
    for row in range(len(items)):
        members[find(row)].append(row)
    return list(members.values())
