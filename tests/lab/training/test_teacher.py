"""A teacher, and sources left out that choose the weights."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from helpers.lab import TINY
from unmask.errors import LabError, RecipeError
from unmask.lab.data.manifest import Item, read_manifest
from unmask.lab.recipe import Crop, load_recipe
from unmask.lab.training.checkpoint import load_run
from unmask.lab.training.teacher import Teacher
from unmask.lab.training.train import train
from unmask.lab.training.validation import Validation


@pytest.fixture(scope="module")
def items(toy_set: Path) -> list[Item]:
    return read_manifest(toy_set)


@pytest.fixture(scope="module")
def teacher_run(items: list[Item], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learnt the labels turned round."""
    turned = [replace(item, label=1 - item.label) for item in items]
    run = tmp_path_factory.mktemp("teacher")
    train(load_recipe("unmask-lite0", TINY), turned, run, jobs=1)
    return run


def figures(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_student_learns_what_its_teacher_says(
    items: list[Item], teacher_run: Path, tmp_path: Path
) -> None:
    with_teacher = [*TINY, f"teacher={{run: {teacher_run}, share: 1}}"]
    train(load_recipe("unmask-lite0", with_teacher), items, tmp_path, jobs=1)
    # what the teacher says is wrong, and the labels, which say otherwise, count nothing
    assert float(figures(tmp_path)[-1]["validation_auc"]) < 0.3


def test_a_share_of_nothing_is_no_teacher(
    items: list[Item], teacher_run: Path, tmp_path: Path
) -> None:
    without = load_recipe("unmask-lite0", TINY)
    ignored = load_recipe("unmask-lite0", [*TINY, f"teacher={{run: {teacher_run}, share: 0}}"])
    for name, recipe in (("without", without), ("ignored", ignored)):
        train(recipe, items, tmp_path / name, jobs=1)
    losses = [[row["train_loss"] for row in figures(tmp_path / n)] for n in ("without", "ignored")]
    assert losses[0] == losses[1]


def test_a_teacher_says_what_its_network_says_at_its_own_size(teacher_run: Path) -> None:
    recipe, network, _ = load_run(teacher_run)
    teacher = Teacher.of_run(teacher_run, recipe.crop)
    faces = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 3, 64, 64), np.uint8))
    with torch.no_grad():
        expected = torch.sigmoid(network(faces)[0])
    assert torch.equal(teacher(faces), expected)
    assert not teacher.train().network.training

    smooth = torch.full((1, 3, 64, 64), 90.0)
    larger = torch.full((1, 3, 96, 96), 90.0)
    assert torch.allclose(teacher(larger), teacher(smooth), atol=1e-5)


def test_a_teacher_that_saw_other_crops_is_refused(teacher_run: Path) -> None:
    with pytest.raises(LabError, match=r"margin 1\.0 .* and this recipe cuts them with 0\.9"):
        Teacher.of_run(teacher_run, Crop(size=64, margin=0.9, centre_y=0.6))
    with pytest.raises(LabError, match="is no run"):
        Teacher.of_run(teacher_run / "nothing", Crop(size=64, margin=1.0, centre_y=0.6))


def test_sources_left_out_can_choose_the_weights(items: list[Item], tmp_path: Path) -> None:
    # the test split becomes a source of its own, which is never trained on
    abroad = [
        *(item for item in items if item.split != "test"),
        *(replace(item, dataset="abroad") for item in items if item.split == "test"),
    ]
    small = "train={images: 480, batch: 16, learning_rate: 0.003, ema: 0, validations: 3,"
    changes = [*TINY, "data.leave_out=[abroad]", small + " monitor: left_out_auc}"]
    with pytest.raises(LabError, match="one of at least 20 fakes"):
        train(load_recipe("unmask-lite0", changes), abroad, tmp_path / "few", jobs=1)

    more = [*abroad, *(replace(i, dataset="abroad", split="test") for i in items)]
    said: list[str] = []
    train(
        load_recipe("unmask-lite0", changes),
        more,
        tmp_path / "run",
        jobs=1,
        allow_leak=True,
        log=said.append,
    )
    assert any("left-out faces; no face in" in line for line in said)
    rows = figures(tmp_path / "run")
    best = max(rows, key=lambda row: float(row["left_out_auc"]))
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert str(facts["best_epoch"]) == best["epoch"]
    assert facts["best"]["left_out_worst"] == pytest.approx(float(best["left_out_worst"]))
    counted = {row["dataset"] for row in facts["counts"]}
    assert counted == {"toy"}  # what was left out was not trained on


def test_choosing_by_sources_left_out_needs_some() -> None:
    with pytest.raises(RecipeError, match=r"needs sources in data\.leave_out"):
        load_recipe("unmask-lite0", [*TINY, "train.monitor=left_out_auc"])


def test_faces_of_several_processes_come_back_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count, world = 7, 2
    items = [Item(str(n), n % 2, "toy", "", "") for n in range(count)]

    class Echo(torch.nn.Module):
        def forward(self, faces: torch.Tensor) -> tuple[torch.Tensor]:
            return (faces,)

    def of_rank(rank: int) -> Any:
        numbers = torch.arange(rank, count, world, dtype=torch.float32)
        return [(numbers, None, None)]

    def gather(parts: list[Any], own: Any) -> None:
        parts[:] = [own, np.arange(1, count, world, dtype=np.float32)]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather, raising=False)
    fabric: Any = SimpleNamespace(
        world_size=world, device="cpu", autocast=lambda: torch.autocast("cpu", enabled=False)
    )
    validation = Validation(of_rank(0), items, count, fabric)
    assert validation._logits(Echo()).tolist() == list(range(count))
