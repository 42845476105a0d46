"""From a data set to a verdict: train, export, check, evaluate and scan with what came out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from helpers.lab import TINY
from unmask.bundle import Bundle, load_bundle
from unmask.cli.tables import card_lines
from unmask.detector import load_detector
from unmask.errors import LabError, ManifestError, NoFramesError
from unmask.faces import load_finder
from unmask.lab.data.manifest import Item, read_manifest, select, write_manifest
from unmask.lab.evaluation.evaluate import evaluate_detectors
from unmask.lab.export.export import cut_faces, export_run
from unmask.lab.export.thresholds import Rules, choose
from unmask.lab.recipe import load_recipe
from unmask.lab.training.checkpoint import load_run
from unmask.lab.training.train import command_line, train


@pytest.fixture(scope="module")
def run(toy_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    return train(
        load_recipe("unmask-lite0", TINY),
        read_manifest(toy_set),
        folder,
        jobs=2,
        data_names=["toy"],
    )


@pytest.fixture(scope="module")
def bundle(run: Path, toy_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundle") / "toy.onnx"
    export_run(run, out, [toy_set], [toy_set])
    return out


def test_the_card_says_who_is_judged_worse(run: Path, toy_set: Path, tmp_path: Path) -> None:
    faces = [
        replace(item, columns={**item.columns, "light": "day" if number % 3 else "night"})
        for number, item in enumerate(read_manifest(toy_set))
    ]
    write_manifest(faces, tmp_path / "faces.parquet")
    out = tmp_path / "toy.onnx"
    export_run(run, out, [toy_set], [tmp_path / "faces.parquet"], by=["light"])
    rows = Bundle(out).card.text["by_column"]["light"]
    assert {(row["value"], row["label"]) for row in rows} == {
        ("day", "real"),
        ("day", "fake"),
        ("night", "real"),
        ("night", "fake"),
    }
    assert all(row["opposite"]["n"] > 0 for row in rows)
    shown = [line for line in card_lines(Bundle(out).card.text) if "inconclusive (" in line]
    assert len(shown) == 4
    with pytest.raises(ManifestError, match="no row has the column 'age_group'"):
        export_run(run, out, [toy_set], [toy_set], by=["age_group"])


def test_a_run_tells_how_it_was_made(run: Path) -> None:
    facts = json.loads((run / "run.json").read_text())
    assert facts["best_validation_auc"] > 0.9
    assert facts["recipe"]["model"]["backbone"] == "test_resnet"
    assert {(c["split"], c["real"], c["fake"]) for c in facts["counts"]} == {
        ("train", 24, 24),
        ("validation", 12, 12),
    }
    assert (run / "metrics.csv").read_text().startswith("epoch,train_loss,train_accuracy")
    assert load_run(run)[1].training is False


def test_the_bundle_computes_what_the_network_computed(
    run: Path, bundle: Path, toy_set: Path
) -> None:
    import torch

    recipe, network, _ = load_run(run)
    crops = cut_faces(select(read_manifest(toy_set), "test"), recipe.crop.spec()).crops
    batch = torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy())
    with torch.inference_mode():
        logits, maps = network(batch)
    found, found_maps, *_ = load_bundle(str(bundle)).score(crops, explain=True)
    assert found == pytest.approx(logits.numpy(), abs=1e-3)
    assert found_maps == pytest.approx(maps.numpy(), abs=1e-3)


def test_the_bundle_names_no_place_on_the_machine_that_made_it(bundle: Path) -> None:
    import unmask

    content = bundle.read_bytes()
    assert b"stack_trace" not in content
    assert str(Path(unmask.__file__).parent).encode() not in content


def test_commands_on_cards_show_names_not_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["unmask", "export", "/home/me/run 1", "--data", "set.parquet"])
    assert command_line() == "unmask export 'run 1' --data set.parquet"


def test_the_card(bundle: Path) -> None:
    card = load_bundle(str(bundle)).card.text
    assert card["name"] == "unmask-lite0"
    assert card["metrics"]["toy"]["auc"] > 0.9
    assert card["metrics"]["toy"]["n"] == 24
    assert card["training_data"][0]["dataset"] == "toy"
    assert card["made_by"]["seed"] == 1
    assert card["thresholds"]["fake"]["false_positive_rate"] <= 1 / 12


def test_evaluate(bundle: Path, toy_set: Path, tmp_path: Path) -> None:
    items = select(read_manifest(toy_set), "test")
    metrics = evaluate_detectors(
        {"toy": load_detector(str(bundle))}, items, tmp_path / "out", crops=True
    ).metrics["toy"]
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == metrics
    assert metrics["overall"] == metrics["datasets"]["toy"]
    assert metrics["overall"]["auc"] > 0.9
    assert metrics["overall"]["coverage"] == 1
    rows = pq.read_table(tmp_path / "out" / "scores.parquet").to_pylist()
    assert [row["name"] for row in rows] == [item.name for item in items]
    fake = [row["probability_fake"] for row in rows if row["label"] == "fake"]
    real = [row["probability_fake"] for row in rows if row["label"] == "real"]
    assert np.mean(fake) > np.mean(real)
    for plot in ("roc.png", "reliability.png"):
        assert (tmp_path / "out" / plot).read_bytes().startswith(b"\x89PNG")


def test_crops_and_scan_agree_where_both_see_the_face(
    bundle: Path, toy_set: Path, tmp_path: Path
) -> None:
    """One inference path: a picture judged as a crop and as a file gets the same probability."""
    items = select(read_manifest(toy_set), "test")
    detector = load_detector(str(bundle))
    evaluate_detectors({"toy": detector}, items, tmp_path / "crops", crops=True)
    evaluate_detectors({"toy": detector}, items, tmp_path / "scan", crops=False)
    crops, scan = (
        pq.read_table(tmp_path / k / "scores.parquet")["probability_fake"].to_pylist()
        for k in ("crops", "scan")
    )
    both = [(a, b) for a, b in zip(crops, scan, strict=True) if b is not None]
    assert len(both) >= 12  # the toy's gates, from 24 pictures, refuse a few
    # a scan clips at 0.001 and 0.999
    assert [a for a, _ in both] == pytest.approx([b for _, b in both], abs=2e-3)


def test_a_broken_picture_is_counted_and_the_others_are_judged(
    bundle: Path, toy_set: Path, tmp_path: Path
) -> None:
    items = select(read_manifest(toy_set), "test")
    items.insert(3, Item("broken", 1, "toy", "test", "x", data=b"no picture"))
    for crops in (True, False):
        found = evaluate_detectors(
            {"toy": load_detector(str(bundle))}, items, tmp_path / str(crops), crops=crops
        )
        metrics = found.metrics["toy"]
        rows = pq.read_table(tmp_path / str(crops) / "scores.parquet").to_pylist()
        assert rows[3]["probability_fake"] is None
        assert rows[3]["fault"]
        assert rows[4]["probability_fake"] is not None
        assert metrics["overall"]["coverage"] < 1


def test_the_same_seed_trains_the_same(run: Path, toy_set: Path, tmp_path: Path) -> None:
    again = train(
        load_recipe("unmask-lite0", TINY), read_manifest(toy_set), tmp_path / "again", jobs=2
    )
    first, second = (
        json.loads((r / "run.json").read_text())["best_validation_auc"] for r in (run, again)
    )
    assert first == second
    assert (run / "weights.safetensors").read_bytes() == (
        again / "weights.safetensors"
    ).read_bytes()


def test_flipped_labels_do_not_become_a_bundle(run: Path, toy_set: Path) -> None:
    recipe, _, _ = load_run(run)
    faces = cut_faces(select(read_manifest(toy_set), "validation"), recipe.crop.spec())
    with pytest.raises(LabError, match="flipped"):
        choose(faces, -faces.labels.astype(np.float32), Rules.of(recipe))


def test_thresholds_by_hand(run: Path, toy_set: Path) -> None:
    recipe, _, _ = load_run(run)
    faces = cut_faces(select(read_manifest(toy_set), "validation"), recipe.crop.spec())
    logits = np.where(faces.labels == 1, 2.0, -2.0) + np.linspace(0, 0.1, len(faces.labels))
    chosen = choose(faces, logits, Rules.of(recipe))
    # of 12 reals the most blurred is not judged, and at most 1 % of the others lie above: none
    assert chosen["thresholds"]["fake"]["n"] == 11
    assert chosen["thresholds"]["fake"]["false_positive_rate"] == 0
    # Clopper and Pearson: 1 - 0.025 ** (1 / 11)
    assert chosen["thresholds"]["fake"]["ci95"] == pytest.approx([0, 0.2849], abs=1e-3)
    assert chosen["calibration"]["temperature"] > 0


def test_an_empty_split_and_one_class(toy_set: Path, tmp_path: Path) -> None:
    items = read_manifest(toy_set)
    with pytest.raises(ManifestError, match="'nowhere'"):
        train(load_recipe("unmask-lite0", [*TINY, "data.train=nowhere"]), items, tmp_path)
    with pytest.raises(ManifestError, match="0 fake"):
        train(
            load_recipe("unmask-lite0", TINY), [item for item in items if not item.label], tmp_path
        )


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no run that has come through an epoch"):
        load_run(tmp_path)


def test_a_checkpoint_is_explained(run: Path, demo: Path, tmp_path: Path) -> None:
    from unmask.lab.explanation.gradcam import explain_run

    told: list[str] = []
    (row,) = explain_run(
        run, [demo / "2-generated.jpg"], tmp_path / "out", load_finder("yunet"), log=told.append
    )
    assert {"Grad-CAM", "class-activation map", "logit"} <= set(row)
    assert "faithful" in told[0]
    assert (tmp_path / "out" / "2-generated.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "out" / "explain.json").read_text())["rows"] == [row]
    with pytest.raises(NoFramesError, match="no face"):
        explain_run(run, [demo / "6-no-face.jpg"], tmp_path / "out", load_finder("yunet"))
