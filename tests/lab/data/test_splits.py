"""Splits by hand: what hangs together stays together, shares are met, seeds repeat."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from unmask.errors import ManifestError
from unmask.lab.audit.leakage import find_leaks
from unmask.lab.data.manifest import Item
from unmask.lab.data.splits import parse_shares, split_items, tied_rows

SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}


def item(
    name: str, group: str = "", label: int = 0, people: tuple[str, ...] = (), dataset: str = "d"
) -> Item:
    return Item(name, label, dataset, "unsplit", group or name, identities=people)


def swaps(count: int) -> list[Item]:
    """`count` originals, each with two swaps."""
    return [item(f"{kind}{i}", f"g{i}", kind) for i in range(count) for kind in (0, 1, 1)]


def test_groups_stay_whole_and_shares_are_met() -> None:
    items = split_items(swaps(200), SHARES, ["group"])
    assert not find_leaks(items)
    assert Counter(i.split for i in items) == {"train": 420, "validation": 90, "test": 90}
    assert Counter((i.split, i.label) for i in items)["test", 1] == 60
    assert [i.name for i in items] == [i.name for i in swaps(200)]


def test_eighty_twenty() -> None:
    items = split_items(
        [item(str(i), label=i % 2) for i in range(100)], {"train": 0.8, "test": 0.2}, ["group"]
    )
    assert Counter((i.split, i.label) for i in items) == {
        ("train", 0): 40,
        ("train", 1): 40,
        ("test", 0): 10,
        ("test", 1): 10,
    }


def test_the_same_seed_gives_the_same_splits() -> None:
    def splits(seed: int) -> list[str]:
        return [i.split for i in split_items(swaps(50), SHARES, ["group"], seed=seed)]

    assert splits(1) == splits(1)
    assert splits(1) != splits(2)


def test_each_data_set_and_class_is_shared_out_alike() -> None:
    items = [
        item(f"{d}{label}{i}", label=label, dataset=d)
        for d, n in (("a", 60), ("b", 20))
        for label in (0, 1)
        for i in range(n)
    ]
    found = Counter((i.dataset, i.label, i.split) for i in split_items(items, SHARES, ["group"]))
    assert [found["b", label, "test"] for label in (0, 1)] == [3, 3]
    assert [found["a", label, "validation"] for label in (0, 1)] == [9, 9]


def test_rows_at_random_leak() -> None:
    """What the origin systems did."""
    assert find_leaks(split_items(swaps(50), SHARES, ["row"])).found[0].kind == "group"


def test_ties_by_hand() -> None:
    items = [
        item("a", "g", people=("ann",)),
        item("b", "g"),
        item("c", people=("ann", "bob")),
        item("d", people=("bob",)),
        item("e"),
    ]
    assert tied_rows(items, ["group"], None, None) == [[0, 1], [2], [3], [4]]
    assert tied_rows(items, ["identity"], None, None) == [[0, 2, 3], [1], [4]]  # through bob, too
    assert tied_rows(items, ["group", "identity"], None, None) == [[0, 1, 2, 3], [4]]
    assert tied_rows(items, ["identity"], None, [None, 5, None, None, 5]) == [[0, 2, 3], [1, 4]]
    assert tied_rows(items, ["row"], None, None) == [[0], [1], [2], [3], [4]]


def test_near_duplicates_are_tied() -> None:
    rng = np.random.default_rng(0)
    prints = rng.integers(0, 256, (4, 32), dtype=np.uint8)
    prints[3] = prints[1]
    prints[3, 0] ^= 0b111  # three bits of 256
    assert tied_rows([item(n) for n in "abcd"], ["near_duplicate"], prints, None) == [
        [0],
        [1, 3],
        [2],
    ]


def test_groups_of_different_sets_are_different() -> None:
    assert tied_rows(
        [item("a", "g", dataset="x"), item("b", "g", dataset="y")], ["group"], None, None
    ) == [[0], [1]]


def test_what_cannot_be_parted_is_told() -> None:
    everybody = [item(str(i), people=("ann", f"p{i}")) for i in range(20)]
    with pytest.raises(
        ManifestError, match=r"20 of 20 rows are tied together by identity.*Leave out one"
    ):
        split_items(everybody, SHARES, ["identity"])
    with pytest.raises(ManifestError, match="would be empty"):
        split_items([item("a"), item("b")], {"train": 0.5, "validation": 0.3, "test": 0.2}, ["row"])
    with pytest.raises(ManifestError, match="the ties are row, group"):
        split_items([item("a")], SHARES, ["colour"])


def test_shares() -> None:
    assert parse_shares("train=0.8, test=0.2") == {"train": 0.8, "test": 0.2}
    for text in ("train", "train=0.8", "train=0.8,test=0.3", "train=1.2,test=-0.2", "train=x"):
        with pytest.raises(ManifestError, match="shares"):
            parse_shares(text)
