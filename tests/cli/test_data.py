"""`unmask data` as a researcher calls it: from a tree on disk to splits, crops and an audit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.clips import write_video


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "unmask", "data", *map(str, words)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def dfdc(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Path:
    """A part of the challenge: twenty originals and a swap of each; the last swap is not there."""
    root = tmp_path_factory.mktemp("dfdc")
    face = np.array(Image.open(demo / "2-generated.jpg").convert("RGB").resize((160, 160))).astype(
        float
    )
    rows: dict[str, dict[str, str]] = {}
    rng = np.random.default_rng(0)
    for number in range(20):
        encode_path = np.clip(face * rng.uniform(0.6, 1.3), 0, 255).astype(np.uint8)
        rows[f"r{number}.mp4"] = {"label": "REAL", "split": "train"}
        rows[f"f{number}.mp4"] = {"label": "FAKE", "split": "train", "original": f"r{number}.mp4"}
        write_video(root / f"r{number}.mp4", [encode_path] * 3)
        if number < 19:
            write_video(root / f"f{number}.mp4", [encode_path[:, ::-1]] * 3)
    (root / "metadata.json").write_text(json.dumps(rows))
    return root


def test_from_a_tree_to_an_audit(dfdc: Path, tmp_path: Path) -> None:
    read = run("read", "dfdc", dfdc, "--out", tmp_path / "all.parquet")
    assert read.returncode == 0, read.stderr
    assert "left out because the file is missing: 1 (f19.mp4)" in read.stdout
    assert "39 rows in 20 groups" in read.stdout

    for name in ("split", "again"):
        shares = "train=0.6,validation=0.2,test=0.2"
        split = run(
            "split",
            tmp_path / "all.parquet",
            "--out",
            tmp_path / f"{name}.parquet",
            "--shares",
            shares,
        )
        assert split.returncode == 0, split.stderr
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "split.parquet").read_bytes()

    prepared = run(
        "prepare",
        tmp_path / "split.parquet",
        "--out",
        tmp_path / "crops",
        "--frames",
        2,
        "--size",
        96,
    )
    assert prepared.returncode == 0, prepared.stderr
    assert "78 crops of 39 of 39 files" in prepared.stdout

    audit = run("audit", tmp_path / "crops", "--out", tmp_path / "audit", "--no-identities")
    assert audit.returncode == 0, audit.stderr
    assert "LEAK" in audit.stdout  # one face in all of them
    assert "near-duplicate" in audit.stdout
    assert "groups in more than one split" not in audit.stdout
    assert (tmp_path / "audit" / "audit.html").is_file()

    videos = run("audit", tmp_path / "split.parquet", "--out", tmp_path / "audit2")
    assert videos.returncode == 0, videos.stderr
    assert "39 videos: only their groups and file facts" in videos.stdout


def test_the_list_and_what_is_not_there(tmp_path: Path) -> None:
    assert "celeb-df-v2: Celeb-DF v2" in run("list").stdout
    done = run("read", "celeb-df-v2", tmp_path, "--out", tmp_path / "m.parquet")
    assert done.returncode == 1
    assert "It should look like this" in done.stderr
    assert not (tmp_path / "m.parquet").exists()
    assert run("read", "celeb-df-v2", tmp_path).returncode == 2  # no --out


def test_bad_manifests_are_told(tmp_path: Path, demo: Path) -> None:
    (tmp_path / "a.csv").write_text("path,label\ngone.jpg,real\n")
    done = run("split", tmp_path / "a.csv", "--out", tmp_path / "b.csv")
    assert done.returncode == 1
    assert "1 of 1 files named by the manifest are missing: " in done.stderr
    picture = demo / "2-generated.jpg"
    (tmp_path / "c.csv").write_text(f"path,label\n{picture},real\n{picture},fake\n")
    done = run("split", tmp_path / "c.csv", "--out", tmp_path / "b.csv")
    assert "is there twice, once as real and once as fake" in done.stderr
    (tmp_path / "d.csv").write_text(f"path,label\n{picture},1\n")
    assert (
        "numbers are refused"
        in run("split", tmp_path / "d.csv", "--out", tmp_path / "b.csv").stderr
    )


def test_evaluate_under_stress_and_where_heat_maps_point(
    tiny_bundle: Path, demo: Path, tmp_path: Path
) -> None:
    for label, light in (("real", 0.6), ("fake", 1.4)):
        (tmp_path / "set" / label).mkdir(parents=True)
        for number, name in enumerate(("2-generated.jpg", "3-generated.jpg")):
            face = np.asarray(Image.open(demo / name).convert("RGB").resize((160, 160))) * light
            Image.fromarray(np.clip(face, 0, 255).astype(np.uint8)).save(
                tmp_path / "set" / label / f"{number}.png"
            )
    command = [
        sys.executable,
        "-m",
        "unmask",
        "evaluate",
        tiny_bundle,
        "--data",
        tmp_path / "set",
        "--out",
    ]
    command += [tmp_path / "out", "--stress", "--heatmaps"]
    refused = subprocess.run(
        list(map(str, command)), check=False, capture_output=True, text=True, timeout=120
    )
    assert refused.returncode == 2
    assert "--crops" in refused.stderr
    done = subprocess.run(
        [*map(str, command), "--crops"], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for word in (
        "jpeg (quality)",
        "h264 (crf)",
        "verdicts that change",
        "middle",
        "of_another_face",
    ):
        assert word in done.stdout
    for name in ("metrics.json", "stress.png", "stress.json", "heatmaps.png", "heatmaps.json"):
        assert (tmp_path / "out" / name).stat().st_size


def test_generators_and_parts_that_are_not_there(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "set" / "real").mkdir(parents=True)
    (tmp_path / "set" / "real" / "1.jpg").write_bytes((demo / "2-generated.jpg").read_bytes())
    done = run("generate", "stylegan9", "--like", tmp_path / "set", "--out", tmp_path / "x.parquet")
    assert done.returncode == 1
    assert "there are mobilestylegan" in done.stderr
    command = [
        sys.executable,
        "-m",
        "unmask",
        "models",
        "make",
        "small",
        "--out",
        str(tmp_path / "x.onnx"),
    ]
    assert subprocess.run(command, check=False, capture_output=True, timeout=120).returncode == 2
