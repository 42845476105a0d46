"""Rates by a column of the manifest, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unmask.errors import ManifestError
from unmask.lab.data.manifest import Item, read_manifest, write_manifest
from unmask.lab.evaluation.by_column import NOT_GIVEN, by_column, require_column, value_of


def item(name: str, label: int, dataset: str = "set", **columns: str) -> Item:
    return Item(name, label, dataset, "test", name, columns=columns)


def test_rates_by_hand() -> None:
    items = [
        *(item(f"a{n}", 0, light="day") for n in range(4)),
        *(item(f"b{n}", 0, light="night") for n in range(2)),
        item("c", 1, light="night"),
        item("d", 0),
    ]
    scores = np.array([0.9, 0.1, 0.5, np.nan, 0.9, 0.95, 0.1, 0.1])
    rows = by_column(items, scores, "light", real_threshold=0.2, fake_threshold=0.8)
    found = {
        (row["value"], row["label"]): (row["opposite"]["wrong"], row["opposite"]["n"])
        for row in rows
    }
    assert found == {
        ("day", "real"): (1, 3),
        ("night", "real"): (2, 2),
        (NOT_GIVEN, "real"): (0, 1),
        ("night", "fake"): (1, 1),
    }
    day = next(row for row in rows if row["value"] == "day")
    assert day["undecided"]["wrong"] == 1
    # Clopper and Pearson, one of three
    assert day["opposite"]["ci95"] == pytest.approx([0.0084, 0.9057], abs=1e-4)


def test_what_utkfaces_names_hold() -> None:
    name = "26_1_4_20170117201502838.jpg.chip.jpg"
    face = item(name, 0, "utkface")
    assert [value_of(face, c) for c in ("age_group", "sex", "ancestry")] == [
        "20–29",
        "female",
        "others",
    ]
    assert value_of(item("2_0_1_x.jpg", 0, "utkface"), "age_group") == "0–2"
    assert value_of(item("101_0_1_x.jpg", 0, "utkface"), "age_group") == "70 or older"
    assert value_of(item(name, 0, "another"), "sex") == NOT_GIVEN
    assert value_of(item("no_such_name.jpg", 0, "utkface"), "sex") == NOT_GIVEN


def test_a_column_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ManifestError, match=r"'camera'; there are: light"):
        require_column([item("a", 0, light="day")], "camera")


def test_columns_are_read_and_written_again(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    table = tmp_path / "m.csv"
    table.write_text("path,label,light,camera\na.jpg,real,day,\nb.jpg,fake,,phone\n")
    items = read_manifest(table)
    assert [i.columns for i in items] == [{"light": "day"}, {"camera": "phone"}]
    for kind in ("again.csv", "again.parquet"):
        write_manifest(items, tmp_path / kind)
        assert [i.columns for i in read_manifest(tmp_path / kind)] == [i.columns for i in items]
