"""Train, validation and test: no group, person or picture in two of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf

import numpy as np

from unmask.errors import ManifestError
from unmask.lab.data.manifest import Item
from unmask.lab.data.near_duplicates import PerceptualHash, near_duplicates

Kind = tuple[str, int]
"""Data set and label of a row."""

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

    - shares: of each split; sum to 1
    - by: of TIES
    - prints: (n, 32), needed for `near_duplicate`
    - people: numbers, used for `identity` beside what the set names

    The same seed gives the same splits. Real and fake of each data set are shared out alike, as far
    as the ties allow. Raises ManifestError where so much is tied together that the shares cannot be
    met.
    """
    unknown = [tie for tie in by if tie not in TIES]
    if unknown:
        raise ManifestError(
            f"rows cannot be tied by {unknown[0]!r}; the ties are {', '.join(TIES)}"
        )
    components = tied_rows(items, by, prints, people)
    largest = max(len(rows) for rows in components)
    if largest > max(shares.values()) * len(items) * 1.1:
        raise ManifestError(
            f"{largest} of {len(items)} rows are tied together by {', '.join(by)}, more than the"
            f" largest share ({max(shares.values()):.0%}): such rows cannot be parted. Leave out"
            " one of the ties (where everybody is swapped with everybody, `identity`)"
        )

    # Large components first: the small ones then fill what is left of the shares.
    rng = np.random.default_rng(seed)
    shuffled = [components[number] for number in rng.permutation(len(components))]
    shuffled.sort(key=len, reverse=True)

    # Each component goes to the split that lacks most of what is in it.
    kinds = [(item.dataset, item.label) for item in items]
    totals = Counter(kinds)
    placed: dict[str, Counter[Kind]] = {name: Counter() for name in shares}
    splits = [""] * len(items)
    for rows in shuffled:
        inside = Counter(kinds[row] for row in rows)
        chosen = _most_lacking(inside, shares, placed, totals)
        placed[chosen].update(inside)
        for row in rows:
            splits[row] = chosen

    empty = [name for name in shares if not placed[name]]
    if empty:
        raise ManifestError(
            f"split {empty[0]!r} would be empty: {len(items)} rows in {len(components)} tied"
            " bundles"
        )
    return [replace(item, split=split) for item, split in zip(items, splits, strict=True)]


def _most_lacking(
    inside: Counter[Kind],
    shares: Mapping[str, float],
    placed: Mapping[str, Counter[Kind]],
    totals: Counter[Kind],
) -> str:
    """The split that is furthest behind its share of these kinds of rows."""
    best, largest_lack = "", -inf
    for name, share in shares.items():
        lack = 0.0
        for kind, count in inside.items():
            lack += count * (share - placed[name][kind] / totals[kind]) / share
        if lack > largest_lack:
            best, largest_lack = name, lack
    return best


class DisjointSets:
    """Rows that are joined pair by pair, and the sets that this makes of them (union–find)."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def join(self, a: int, b: int) -> None:
        """These two rows belong together."""
        first, second = self._root(a), self._root(b)
        self._parent[max(first, second)] = min(first, second)

    def members(self) -> list[list[int]]:
        """The sets, in the order of their first rows."""
        by_root: dict[int, list[int]] = defaultdict(list)
        for row in range(len(self._parent)):
            by_root[self._root(row)].append(row)
        return list(by_root.values())

    def _root(self, row: int) -> int:
        while self._parent[row] != row:
            # halve the path, so that later look-ups are short
            self._parent[row] = self._parent[self._parent[row]]
            row = self._parent[row]
        return row


def tied_rows(
    items: Sequence[Item],
    by: Sequence[str],
    prints: PerceptualHash | None,
    people: Sequence[int | None] | None,
) -> list[list[int]]:
    """The rows that belong together, directly or through others; in the order of their first row.

    - by, prints, people: as `split_items` takes them
    """
    sets = DisjointSets(len(items))

    # Rows that share a key belong together: each is joined with the first that had the key.
    first_with_key: dict[Hashable, int] = {}
    for row, item in enumerate(items):
        person = None if people is None else people[row]
        for key in _keys(item, person, by):
            sets.join(row, first_with_key.setdefault(key, row))

    if "near_duplicate" in by:
        if prints is None:
            raise ValueError("near_duplicate needs prints")
        for a, b, _ in near_duplicates(prints):
            sets.join(a, b)
    return sets.members()


def _keys(item: Item, person: int | None, by: Sequence[str]) -> Iterator[Hashable]:
    """What ties an item to others that have the same."""
    if "group" in by:
        yield "group", item.dataset, item.group
    if "identity" in by:
        for name in item.identities:
            yield "named", item.dataset, name
        if person is not None:
            yield "found", person
