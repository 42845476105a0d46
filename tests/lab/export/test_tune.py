"""Topping up a bundle: what may get worse, what is added, and once from end to end."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from unmask.bundle import Bundle, load_bundle
from unmask.bundle.registry import find_bundle
from unmask.cli import app
from unmask.errors import LabError
from unmask.lab.data.manifest import Item, write_manifest
from unmask.lab.data.splits import split_items
from unmask.lab.export import tune as module
from unmask.lab.export.tune import Bounds, Compared, _added, _gain, _recipe, _split, tune

SHARES_OF_NEW = {"train": 0.7, "validation": 0.3}
REAL = Compared("old_real", 0, 200, 0.9, 0.9, 0.010, 0.010)
FAKE = Compared("old_fake", 1, 50, 0.900, 0.900, 0.2, 0.2)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (REAL, None),
        (replace(REAL, wrong_after=0.020), None),  # one point more is allowed
        (replace(REAL, wrong_after=0.025), "2.5% of its real faces are called fake (1.0% before)"),
        (replace(REAL, n=50, wrong_before=0.0, wrong_after=0.04), None),  # two faces of fifty
        (replace(REAL, n=50, wrong_before=0.0, wrong_after=0.06), "6.0% of its real faces"),
        (replace(REAL, n=10, wrong_after=0.5), None),  # too few to say
        (FAKE, None),
        (replace(FAKE, auc_after=0.881), None),
        (replace(FAKE, auc_after=0.879), "old_fake: AUC 0.879 (0.900 before)"),
        (replace(FAKE, wrong_after=0.9), None),  # it is the AUC that counts for fakes
    ],
)
def test_what_is_worse_beyond_the_bounds(row: Compared, words: str | None) -> None:
    found = row.worse(Bounds(false_alarms=0.01, auc=0.02))
    assert found is None if words is None else words in (found or "")


def test_the_gain_is_that_of_the_new_sources() -> None:
    rows = [
        replace(FAKE, auc_after=0.1),
        replace(FAKE, source="new: theirs", auc_before=0.5, auc_after=0.75),
        replace(REAL, source="new: mine", wrong_before=0.30, wrong_after=0.05),
    ]
    assert _gain(rows) == pytest.approx(0.25)


def picture(path: Path, demo: Path, name: str, level: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    face = np.asarray(Image.open(demo / name).convert("RGB").resize((300, 300)))
    Image.fromarray((face * level).astype(np.uint8)).save(path)
    return path


def test_folders_and_manifests_are_added(tmp_path: Path, demo: Path) -> None:
    picture(tmp_path / "theirs" / "a.png", demo, "2-generated.jpg", 1.0)
    (tmp_path / "theirs" / "readme.txt").write_text("no picture")
    path = picture(tmp_path / "b.png", demo, "1-photograph.jpg", 1.0)
    write_manifest([Item("b", 0, "set", "train", "b", path=path)], tmp_path / "more.csv")
    folder, manifest = _added([tmp_path / "theirs", tmp_path / "more.csv"], 1)
    assert (folder.dataset, folder.label) == ("new: theirs", 1)
    assert (manifest.dataset, manifest.label) == ("new: set", 0)  # its own label


def test_new_faces_that_look_alike_stay_together(tmp_path: Path, demo: Path) -> None:
    for number in range(4):
        picture(tmp_path / "new" / f"a{number}.png", demo, "1-photograph.jpg", 0.8 + 0.01 * number)
    for number in range(2):
        picture(tmp_path / "new" / f"b{number}.png", demo, "2-generated.jpg", 0.8 + 0.01 * number)
    items = _split(_added([tmp_path / "new"], 1), seed=1, jobs=1)
    splits = {item.name[0]: set[str]() for item in items}
    for item in items:
        splits[item.name[0]].add(item.split)
    assert splits == {"a": {"train"}, "b": {"validation"}}


def test_a_third_of_what_is_drawn_is_new_and_the_crop_is_the_bundles() -> None:
    path = find_bundle("default")
    bundle = Bundle(path)
    items = [Item(name, 1, name, "train", name) for name in ("new: a", "new: b", "old")]
    recipe = _recipe(path, bundle, items, 2000, seed=7)
    assert recipe.data.weights == pytest.approx({"new: a": 1 / 6, "new: b": 1 / 6})
    assert recipe.crop.spec() == bundle.card.crop
    assert recipe.data.leave_out == ()
    assert recipe.gates.min_sharpness == bundle.card.gates.min_sharpness == 15
    assert (recipe.train.images, recipe.train.seed) == (2000, 7)


def test_a_bundle_that_does_not_say_what_it_is_cannot_be_gone_on_from(tiny_bundle: Path) -> None:
    with pytest.raises(LabError, match="does not say which network"):
        _recipe(tiny_bundle, Bundle(tiny_bundle), [], 2000, seed=1)


@pytest.fixture
def data(tmp_path: Path, demo: Path) -> Path:
    """A core of old faces, and a folder of new fakes: a real face in green."""
    items = []
    for split, count in (("train", 24), ("validation", 24)):
        for number in range(count):
            for label, name in ((0, "1-photograph.jpg"), (1, "2-generated.jpg")):
                path = tmp_path / "core" / f"{split}-{label}-{number}.png"
                picture(path, demo, name, 0.6 + 0.015 * number)
                key = f"{split}{label}{number}"
                items.append(Item(key, label, f"old{label}", split, key, path=path))
    write_manifest(items, tmp_path / "core.csv")
    for number in range(12):
        path = picture(
            tmp_path / "new" / f"{number}.png", demo, "1-photograph.jpg", 0.7 + 0.02 * number
        )
        pixels = np.asarray(Image.open(path)).copy()
        pixels[..., [0, 2]] //= 3
        Image.fromarray(pixels).save(path)
    return tmp_path


def test_without_anything_to_add_it_says_so(data: Path) -> None:
    with pytest.raises(LabError, match="nothing to add"):
        tune("default", data / "o.onnx", core=[data / "core.csv"], run=data / "run")


def test_the_command_takes_videos_for_the_thresholds_of_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}

    def tune_nothing(model: str, out: Path, **given: Any) -> list[Compared]:
        told.update(given)
        out.write_bytes(b"")
        return []

    monkeypatch.setattr(module, "tune", tune_nothing)
    command = ["tune", "default", "--out", "o.onnx", "--core", "c.csv", "--run", "run"]
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, [*command, "--clips", "clips.csv"]).exit_code == 0
    assert told["clips"] == [Path("clips.csv")]


@pytest.mark.slow
def test_from_a_folder_of_new_fakes_to_a_bundle(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHARES", (0.3,))
    # the pictures are all alike, and would stay together
    monkeypatch.setattr(module, "_split", lambda items, *_: split_items(items, SHARES_OF_NEW))
    monkeypatch.setattr(module, "SMALLEST", 10_000)  # so few faces bound nothing
    tune_it = partial(
        tune,
        "default",
        data / "out.onnx",
        fakes=[data / "new"],
        core=[data / "core.csv"],
        run=data / "run",
        images=256,
        allow_leak=True,  # three faces in many brightnesses
        jobs=1,
    )
    rows = tune_it()
    assert {row.source for row in rows} == {"new: new", "old0", "old1"}
    made = Bundle(data / "out.onnx")
    assert made.id.name == f"{load_bundle('default').id.name}-tuned"
    assert made.card.text["made_by"]["averaged_with"]["share"] == 0.3
    told = json.loads((data / "run" / "tune.json").read_text())
    assert told["chosen"] == 0.3

    # where an old source gets worse, nothing is written, and the figures say why
    monkeypatch.setattr(Compared, "worse", lambda row, _: f"{row.source} got worse")
    (data / "out.onnx").unlink()
    with pytest.raises(LabError, match="old sources get worse at every way back"):
        tune_it()
    assert not (data / "out.onnx").exists()
    assert json.loads((data / "run" / "tune.json").read_text())["chosen"] is None
