"""Evaluation: levels, several models side by side, and the files that come of it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import unmask.demo
from helpers.bundles import write_bundle
from helpers.clips import write_video
from unmask.detector import Detector, load_detector
from unmask.lab.data.manifest import Item
from unmask.lab.evaluation.evaluate import Scores, compare, evaluate_detectors, measure
from unmask.testing import FakeFinder, FakeScorer


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    """Two pictures of each of ten people, bright ones fake; two that have no face to speak of come
    from another set."""
    face = np.array(
        Image.open(Path(unmask.demo.__file__).parent / "2-generated.jpg")
        .convert("RGB")
        .resize((160, 160))
    )
    rows = []
    for number in range(20):
        fake = number // 2 % 2
        image = np.clip(face.astype(float) * (1.5 if fake else 0.6) + number % 5, 0, 255).astype(
            np.uint8
        )
        Image.fromarray(image).save(tmp_path / f"{number}.png")
        name = f"video-{number // 2}"
        rows.append(
            Item(
                name,
                fake,
                "a" if number < 16 else "b",
                "test",
                name,
                path=tmp_path / f"{number}.png",
            )
        )
    return rows


def crops(items: list[Item]) -> list[Item]:
    return [
        Item(i.name, i.label, i.dataset, i.split, i.group, data=(i.path or Path()).read_bytes())
        for i in items
    ]


def test_rows_videos_and_data_sets(tiny_bundle: Path, items: list[Item], tmp_path: Path) -> None:
    found = evaluate_detectors(
        {"tiny": load_detector(str(tiny_bundle))}, crops(items), tmp_path / "out", crops=True
    )
    metrics = found.metrics["tiny"]
    assert found.pairs == []
    assert metrics["overall"]["n"] == 20
    assert {name: row["n"] for name, row in metrics["datasets"].items()} == {"a": 16, "b": 4}
    assert metrics["by_video"]["overall"]["n"] == 10
    assert metrics["by_video"]["datasets"]["a"]["auc"] == 1.0
    assert "by_face" not in metrics


def test_what_is_written(tiny_bundle: Path, items: list[Item], tmp_path: Path) -> None:
    evaluate_detectors(
        {"tiny": load_detector(str(tiny_bundle))}, crops(items), tmp_path, crops=True
    )
    for plot in ("roc", "precision_recall", "det", "reliability", "risk_coverage"):
        assert (tmp_path / f"{plot}.png").read_bytes().startswith(b"\x89PNG")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    with (tmp_path / "metrics.csv").open() as file:
        rows = {(row["level"], row["data"]): row for row in csv.DictReader(file)}
    assert set(rows) == {
        (level, data) for level in ("rows", "videos") for data in ("a", "b", "overall")
    }
    assert float(rows["rows", "overall"]["auc_ci95_low"]) == pytest.approx(
        metrics["overall"]["auc_ci95"][0]
    )
    assert int(rows["rows", "a"]["confusion_tp"]) == metrics["datasets"]["a"]["confusion"]["tp"]
    text = (tmp_path / "report.md").read_text()
    assert "| AUC | 1.000 | 1.000 | 1.000 |" in text
    assert "majority-class baseline" in text
    page = (tmp_path / "report.html").read_text()
    for words in ("fakes found", "real called fake", "precision", "data:image/png"):
        assert words in page
    assert pq.read_table(tmp_path / "scores.parquet").num_rows == 20


def test_faces_of_scanned_clips_count_each(
    tiny_bundle: Path, items: list[Item], tmp_path: Path
) -> None:
    clips = []
    for item in items[:4:2]:
        picture = np.array(Image.open(item.path or ""))
        path = write_video(tmp_path / f"{item.name}.mp4", [picture] * 12)
        clips.append(Item(item.name, item.label, "clips", "test", item.group, path=path))
    detector = load_detector(str(tiny_bundle))
    metrics = evaluate_detectors({"tiny": detector}, clips, tmp_path / "out", frames=6).metrics[
        "tiny"
    ]
    assert metrics["overall"]["n"] == 2
    assert sum(metrics["verdicts"]["clips"]["real"].values()) == 2 - clips[0].label - clips[1].label
    assert "## Verdicts" in (tmp_path / "out" / "report.md").read_text()
    assert metrics["by_face"]["overall"]["n"] == 12
    assert metrics["by_face"]["overall"]["n_fake"] == 6
    assert metrics["settings"]["frames"] == 6


def test_faces_that_are_not_found_are_counted(
    tiny_bundle: Path, items: list[Item], tmp_path: Path
) -> None:
    Image.new("RGB", (120, 120), (90, 90, 90)).save(tmp_path / "wall.png")
    work = [*items, Item("wall", 0, "a", "test", "wall", path=tmp_path / "wall.png")]
    row = evaluate_detectors(
        {"tiny": load_detector(str(tiny_bundle))}, work, tmp_path / "out"
    ).metrics["tiny"]["overall"]
    assert row["not_judged"] >= 1
    assert row["coverage"] == pytest.approx(1 - row["not_judged"] / 21)


def test_models_side_by_side(tiny_bundle: Path, items: list[Item], tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "other.onnx", name="other")
    detectors = {"tiny": load_detector(str(tiny_bundle)), "other": load_detector(str(other))}
    found = evaluate_detectors(detectors, crops(items), tmp_path / "out", crops=True)
    (pair,) = found.pairs
    assert (pair["first"], pair["second"], pair["n"], pair["p"]) == ("tiny", "other", 20, 1.0)
    for name in detectors:
        assert (
            json.loads((tmp_path / "out" / name / "metrics.json").read_text())
            == found.metrics[name]
        )
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert told["delong"] == [pair]
    assert "tiny against other on 20 rows" in (tmp_path / "out" / "comparison.md").read_text()
    assert "Are they different?" in (tmp_path / "out" / "comparison.html").read_text()


def test_models_are_compared_on_what_both_judged() -> None:
    work = [Item(str(i), i % 2, "d", "test", str(i)) for i in range(6)]
    a = Scores(np.array([0.1, 0.9, 0.2, 0.8, 0.3, np.nan]), [""] * 6)
    b = Scores(np.array([0.9, 0.1, np.nan, 0.2, 0.8, 0.5]), [""] * 6)
    (pair,) = compare(work, {"a": a, "b": b})
    assert (pair["n"], pair["auc"], pair["other_auc"]) == (4, 1.0, 0.0)
    none = Scores(np.array([np.nan, 0.5, np.nan, 0.5, np.nan, 0.5]), [""] * 6)
    (pair,) = compare(work, {"a": a, "none": none})
    assert "p" not in pair


def test_groups_of_two_sets_with_one_name_are_two_groups() -> None:
    detector = Detector(FakeScorer(), FakeFinder())
    work = [Item(f"{d}{i}", i % 2, d, "test", "g") for d in ("a", "b") for i in range(2)]
    assert measure(detector, work, Scores(np.array([0.1, 0.9, 0.1, 0.9]), [""] * 4))["overall"][
        "auc_ci95"
    ] == [
        1.0,
        1.0,
    ]
