"""Figures in a card that are measured anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from helpers.bundles import write_bundle
from unmask.bundle import load_bundle
from unmask.cli import app
from unmask.errors import ManifestError
from unmask.lab.data.manifest import read_manifest, write_manifest
from unmask.lab.export.export import Anew, measure_again


def test_figures_and_rates_by_column_replace_the_old_ones(toy_set: Path, tmp_path: Path) -> None:
    faces = tmp_path / "faces.parquet"
    table = pq.read_table(toy_set)
    hours = pa.array(["day" if row % 3 else "night" for row in range(len(table))])
    pq.write_table(table.append_column("hour", hours), faces)
    before = write_bundle(tmp_path / "before.onnx", metrics={"another": {"n": 1, "auc": 0.5}})
    after = tmp_path / "after.onnx"
    measure_again(str(before), Anew([faces], ["hour"], version="2"), after)

    old, new = load_bundle(str(before)), load_bundle(str(after))
    assert list(new.card.text["metrics"]) == ["toy"]
    assert new.card.text["metrics"]["toy"]["n"] == 24  # its test split alone
    assert new.card.text["version"] == "2"
    rows = new.card.text["by_column"]["hour"]
    assert {(row["value"], row["label"]) for row in rows} == {
        (hour, label) for hour in ("day", "night") for label in ("real", "fake")
    }

    # the network, its calibration and its thresholds are what they were
    assert new.card.text["graph_sha256"] == old.card.text["graph_sha256"]
    assert new.card.thresholds == old.card.thresholds
    assert new.card.canaries == old.card.canaries

    # measured once more without columns, the card has none
    measure_again(str(after), Anew([toy_set]), after)
    assert "by_column" not in load_bundle(str(after)).card.text


def test_thresholds_for_clips_are_chosen_anew_and_the_figures_stay(
    demo: Path, tmp_path: Path
) -> None:
    clip = next(demo.glob("5-*.mp4"))
    rows = ["path,label,dataset,group,split"]
    for number in range(20):
        copy = shutil.copy(clip, tmp_path / f"{number}.mp4")
        label = "real" if number % 2 else "fake"
        rows.append(f"{copy},{label},made,{number},validation")
    clips = tmp_path / "clips.csv"
    clips.write_text("\n".join(rows))
    before, after = write_bundle(tmp_path / "before.onnx"), tmp_path / "after.onnx"
    asked = ["models", "measure", str(before), "--clips", str(clips), "--out", str(after)]
    assert CliRunner().invoke(app, asked).exit_code == 0

    old, new = load_bundle(str(before)).card, load_bundle(str(after)).card
    assert old.thresholds.clip is None
    assert new.text["thresholds"]["clip"]["fake"]["n"] == 10
    assert new.thresholds.clip is not None
    assert (new.thresholds.fake, new.thresholds.real) == (old.thresholds.fake, old.thresholds.real)
    assert new.text["metrics"] == old.text["metrics"]
    assert new.text["evaluated_on"] == old.text["evaluated_on"]


def test_what_is_to_be_measured_must_be_said(tmp_path: Path) -> None:
    bundle, out = write_bundle(tmp_path / "bundle.onnx"), tmp_path / "out.onnx"
    asked = ["models", "measure", str(bundle), "--out", str(out)]
    for options, hint in (
        (["--by", "sex"], "--clips"),
        (["--clips", "c.csv", "--by", "sex"], "--test"),
    ):
        done = CliRunner().invoke(app, [*asked, *options])
        assert done.exit_code == 2
        assert hint in done.output
    assert not out.exists()


def test_a_column_that_no_row_has_is_an_error_and_writes_nothing(
    toy_set: Path, tmp_path: Path
) -> None:
    bundle = write_bundle(tmp_path / "bundle.onnx")
    out = tmp_path / "out.onnx"
    faces = tmp_path / "faces.parquet"
    write_manifest(read_manifest(toy_set)[:8], faces)
    with pytest.raises(ManifestError, match="no row has the column 'age_group'"):
        measure_again(str(bundle), Anew([faces], ["age_group"]), out)
    assert not out.exists()


def test_rates_by_column_need_faces_to_measure(tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    arguments = ["export", str(tmp_path), "--out", str(out), "--data", "faces.parquet"]
    done = CliRunner().invoke(app, [*arguments, "--by", "age_group"])
    assert done.exit_code == 2
    assert "needs --test" in done.output
