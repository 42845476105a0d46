"""Training: what a recipe asks for happens, it goes on after a kill, and two processes do what one
does."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.lab import TINY
from unmask.errors import LabError, ManifestError, OutputError
from unmask.lab.audit.leakage import find_leaks
from unmask.lab.data.manifest import Item, read_manifest
from unmask.lab.recipe import Train, load_recipe
from unmask.lab.training import train as training
from unmask.lab.training.checkpoint import load_run
from unmask.lab.training.loop import TrainingPlan, class_weights, map_loss, moving_average
from unmask.lab.training.train import train

EPOCHS = [
    "train={epochs: 4, batch: 16, optimizer: adam, learning_rate: 0.003, schedule: exponential,"
    " decay: 0.8}"
]


def history(run: Path) -> list[dict[str, str]]:
    """The figures of each epoch but for times."""
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [
        {k: v for k, v in row.items() if k not in ("images_per_s", "waiting_share")} for row in rows
    ]


@pytest.fixture(scope="module")
def items(toy_set: Path) -> list[Item]:
    return read_manifest(toy_set)


@pytest.fixture(scope="module")
def whole(items: list[Item], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run of four epochs."""
    run = tmp_path_factory.mktemp("whole")
    return train(load_recipe("unmask-lite0", [*TINY, *EPOCHS]), items, run, jobs=1)


def test_a_run_leaves_what_it_promises(whole: Path) -> None:
    files = {path.name for path in whole.iterdir()}
    assert {
        "weights.safetensors",
        "last.safetensors",
        "run.json",
        "metrics.csv",
        "curves.png",
    } <= files
    assert not [name for name in files if name.endswith((".pack", ".part"))]
    assert list((whole / "tensorboard").glob("events.out.tfevents.*"))
    assert (whole / "curves.png").read_bytes().startswith(b"\x89PNG")
    facts = json.loads((whole / "run.json").read_text())
    assert facts["epochs_run"] == 4
    assert facts["images_seen"] == 4 * 48
    assert facts["leak"] is None
    assert facts["command"]
    assert [row["epoch"] for row in history(whole)] == ["1", "2", "3", "4"]


def test_the_rate_decays_exponentially_epoch_by_epoch(whole: Path) -> None:
    rates = [float(row["learning_rate"]) for row in history(whole)]
    assert rates == pytest.approx([0.003 * 0.8**epoch for epoch in (1, 2, 3, 4)])


def test_the_kept_weights_are_those_of_the_best_epoch(whole: Path) -> None:
    best = max(history(whole), key=lambda row: float(row["validation_auc"]))
    facts = json.loads((whole / "run.json").read_text())
    assert facts["best_validation_auc"] == pytest.approx(float(best["validation_auc"]))
    assert str(facts["best_epoch"]) == best["epoch"]


def test_killed_at_an_epoch_it_goes_on_to_the_same_curve(
    whole: Path, items: list[Item], tmp_path: Path
) -> None:
    class StoppedError(Exception):
        pass

    def kill(text: str) -> None:
        if text.startswith("epoch 2 "):
            raise StoppedError

    recipe = load_recipe("unmask-lite0", [*TINY, *EPOCHS])
    with pytest.raises(StoppedError):
        train(recipe, items, tmp_path, jobs=1, log=kill)
    assert len(history(tmp_path)) == 2
    said: list[str] = []
    train(recipe, items, tmp_path, jobs=1, log=said.append)
    assert "resuming after epoch 2 of 4" in said
    assert history(tmp_path) == history(whole)
    assert (tmp_path / "weights.safetensors").read_bytes() == (
        whole / "weights.safetensors"
    ).read_bytes()
    said.clear()
    train(recipe, items, tmp_path, jobs=1, log=said.append)  # and a finished run is not begun again
    assert not [text for text in said if text.startswith("epoch")]
    assert history(tmp_path) == history(whole)
    kept, facts = (json.loads((run / "run.json").read_text()) for run in (whole, tmp_path))
    assert set(facts) == set(kept)
    assert facts["best_epoch"] == kept["best_epoch"]


@pytest.mark.slow
def test_killed_with_signal_9_it_goes_on_to_the_same_curve(toy_set: Path, tmp_path: Path) -> None:
    changes = [*TINY, *EPOCHS, "train.epochs=12", "train.ema=0.9"]
    sets = [word for change in changes for word in ("--set", change)]
    command = [
        sys.executable,
        "-m",
        "unmask",
        "train",
        "unmask-lite0",
        "--data",
        str(toy_set),
        "--jobs",
        "1",
        *sets,
    ]
    subprocess.run([*command, "--out", str(tmp_path / "whole")], check=True, capture_output=True)
    for kill_after in (2, 7):
        process = subprocess.Popen(
            [*command, "--out", str(tmp_path / "killed")], stdout=subprocess.DEVNULL
        )
        metrics = tmp_path / "killed" / "metrics.csv"
        while process.poll() is None and (
            not metrics.is_file() or len(metrics.read_text().splitlines()) <= kill_after
        ):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    subprocess.run([*command, "--out", str(tmp_path / "killed")], check=True, capture_output=True)
    assert history(tmp_path / "killed") == history(tmp_path / "whole")
    for file in ("weights.safetensors",):
        assert (tmp_path / "killed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_a_folder_holds_one_run(whole: Path, items: list[Item]) -> None:
    with pytest.raises(LabError, match=r"another recipe \(differs in train\)"):
        train(load_recipe("unmask-lite0", [*TINY, *EPOCHS, "train.seed=2"]), items, whole, jobs=1)
    with pytest.raises(LabError, match="other data"):
        train(load_recipe("unmask-lite0", [*TINY, *EPOCHS]), items[:-8], whole, jobs=1)


@pytest.mark.slow
def test_two_processes_do_what_one_does(toy_set: Path, tmp_path: Path) -> None:
    """By torchrun and gloo; a network without batch norm, whose statistics each process has of its
    own half."""
    changes = [
        *TINY,
        *EPOCHS,
        "model.backbone=test_convnext",
        "train.learning_rate=0.001",
        "train.ema=0.9",
    ]
    sets = [word for change in changes for word in ("--set", change)]
    words = ["train", "unmask-lite0", "--data", str(toy_set), "--jobs", "1", *sets]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "unmask", *words, "--out", str(tmp_path / "one")],
        check=True, capture_output=True, env=environment,
    )  # fmt: skip
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "unmask",
    ]
    done = subprocess.run(
        [*torchrun, *words, "--out", str(tmp_path / "two")],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("epoch 1 of 4") == 1  # one of them speaks
    one, two = history(tmp_path / "one"), history(tmp_path / "two")
    for a, b in zip(one, two, strict=True):
        assert {k: float(v) for k, v in a.items()} == pytest.approx(
            {k: float(v) for k, v in b.items()}, rel=1e-3
        )


def test_accumulation_changes_nothing_but_memory(items: list[Item], tmp_path: Path) -> None:
    changes = [
        *TINY,
        *EPOCHS,
        "model.backbone=test_convnext",
        "train.epochs=2",
        "train.optimizer=sgd",
    ]
    runs = [
        train(
            load_recipe("unmask-lite0", [*changes, f"train.accumulate={parts}"]),
            items,
            tmp_path / str(parts),
            jobs=1,
        )
        for parts in (1, 4)
    ]
    for a, b in zip(*(history(run) for run in runs), strict=True):
        assert {k: float(v) for k, v in a.items()} == pytest.approx(
            {k: float(v) for k, v in b.items()}, rel=1e-3
        )


def test_training_stops_when_nothing_gets_better(items: list[Item], tmp_path: Path) -> None:
    # with a rate of next to nothing the loss does not move
    changes = [
        "train={epochs: 9, batch: 16, optimizer: sgd, learning_rate: 1.0e-12, schedule: constant,"
        " patience: 2}"
    ]
    recipe = load_recipe("unmask-lite0", [*TINY, *changes, "model.freeze=all"])
    said: list[str] = []
    train(recipe, items, tmp_path, jobs=1, log=said.append)
    assert len(history(tmp_path)) == 3
    assert "no better validation_auc for 2 epochs" in said[-1]
    assert (
        json.loads((tmp_path / "run.json").read_text())["stopped"]
        == "no better validation_auc for 2 epochs"
    )


def test_a_full_disk_leaves_the_last_good_checkpoint(
    items: list[Item], whole: Path, tmp_path: Path
) -> None:
    full = tmp_path / "last.safetensors.part"

    def fill(text: str) -> None:
        if text.startswith("epoch 2 "):
            full.symlink_to("/dev/full")  # writing there is writing to a full disk

    recipe = load_recipe("unmask-lite0", [*TINY, *EPOCHS])
    with pytest.raises(
        OutputError, match=r"No space left.*last good checkpoint stays, of epoch 2.*go on"
    ):
        train(recipe, items, tmp_path, jobs=1, log=fill)
    assert load_run(tmp_path)[1].training is False  # what was good can be exported
    train(recipe, items, tmp_path, jobs=1)
    assert history(tmp_path) == history(whole)


def leaking(items: list[Item]) -> list[Item]:
    """A group of the training split turns up in validation too."""
    group = next(item.group for item in items if item.split == "train")
    return [replace(item, group=group) if item.split == "validation" else item for item in items]


def test_a_leak_stops_training_unless_it_is_said(items: list[Item], tmp_path: Path) -> None:
    recipe = load_recipe("unmask-lite0", [*TINY, *EPOCHS, "train.epochs=1"])
    with pytest.raises(
        LabError, match=r"the splits leak: 1 groups in more than one split.*--allow-leak"
    ):
        train(recipe, leaking(items), tmp_path / "no", jobs=1)
    run = train(recipe, leaking(items), tmp_path / "yes", jobs=1, allow_leak=True)
    (words,) = json.loads((run / "run.json").read_text())["leak"]
    assert words.startswith("1 groups in more than one split, e.g. video-0 (train)")


def test_a_data_set_that_is_left_out_is_neither_trained_nor_validated_on(
    items: list[Item], tmp_path: Path
) -> None:
    more = [*items, *(replace(item, dataset="other", group=f"o{item.group}") for item in items)]
    short = [*TINY, "train={epochs: 1, batch: 16, learning_rate: 0.001}"]
    left_out = load_recipe("unmask-lite0", [*short, "data.leave_out=[other]"])
    run = train(left_out, more, tmp_path / "run", jobs=1, allow_leak=True)
    counts = json.loads((run / "run.json").read_text())["counts"]
    assert {row["dataset"] for row in counts} == {item.dataset for item in items}
    unknown = load_recipe("unmask-lite0", [*short, "data.leave_out=[nowhere]"])
    with pytest.raises(ManifestError, match=r"data\.leave_out names nowhere, which"):
        train(unknown, more, tmp_path / "other", jobs=1)


def test_a_test_split_that_shares_groups_stops_training_too(
    items: list[Item], tmp_path: Path
) -> None:
    group = next(item.group for item in items if item.split == "train")
    shared = [replace(item, group=group) if item.split == "test" else item for item in items]
    with pytest.raises(LabError, match=r"\(train\) and video-\d+ \(test\)"):
        train(load_recipe("unmask-lite0", [*TINY, *EPOCHS]), shared, tmp_path, jobs=1)


def test_the_same_picture_in_two_splits_is_a_leak(items: list[Item], tmp_path: Path) -> None:
    twice = [*items, replace(items[0], name="copy", group="another", split="validation")]
    with pytest.raises(LabError, match="near-duplicate"):
        train(load_recipe("unmask-lite0", [*TINY, *EPOCHS]), twice, tmp_path, jobs=1)


def test_broken_pictures_are_left_out_counted_and_named(items: list[Item], tmp_path: Path) -> None:
    many = [
        replace(item, name=f"{item.name}-{copy}", split=item.split)
        for copy in range(3)
        for item in items
    ]
    many = [
        replace(item, data=(item.data or b"") + copy.to_bytes(2, "big"))
        for copy, item in enumerate(many)
    ]
    broken = replace(many[0], name="broken-one", data=b"no picture")
    recipe = load_recipe("unmask-lite0", [*TINY, *EPOCHS, "train.epochs=1"])
    said: list[str] = []
    run = train(recipe, [broken, *many], tmp_path / "one", jobs=1, allow_leak=True, log=said.append)
    assert any("broken-one" in text and "left out" in text for text in said)
    assert json.loads((run / "run.json").read_text())["left_out"]["train"] == {
        "no_face": 0,
        "broken": 1,
    }
    with pytest.raises(ManifestError, match="more than 1 %"):
        train(
            recipe,
            [*(replace(broken, name=f"b{i}") for i in range(3)), *many],
            tmp_path / "many",
            jobs=1,
        )


def test_plans_by_hand() -> None:
    def settings(**changes: object) -> Train:
        return Train(batch=10, learning_rate=1, **changes)  # type: ignore[arg-type]

    assert TrainingPlan.of(settings(epochs=3), 105) == TrainingPlan(3, 10)
    assert TrainingPlan.of(settings(epochs=3), 4) == TrainingPlan(3, 1)
    assert TrainingPlan.of(settings(images=1000, validations=8), 7) == TrainingPlan(8, 12)


def test_the_average_starts_warm() -> None:
    averaged = [torch.tensor([0.0])]
    moving_average(0.999)(averaged, [torch.tensor([1.0])], torch.tensor(0))
    assert float(averaged[0]) == pytest.approx(0.9)  # decay 1/10
    averaged = [torch.tensor([0.0])]
    moving_average(0.9)(averaged, [torch.tensor([1.0])], torch.tensor(1000))
    assert float(averaged[0]) == pytest.approx(0.1)


def test_class_weights_by_hand() -> None:
    weights = class_weights(np.array([0, 0, 0, 1], np.float32), torch.device("cpu"))
    assert weights.tolist() == pytest.approx([2 / 3, 2.0])


def test_leaks_by_hand() -> None:
    def item(name: str, split: str, group: str, *people: str, dataset: str = "d") -> Item:
        return Item(name, 0, dataset, split, group, identities=people)

    clean = [
        item("a", "train", "g"),
        item("b", "train", "g"),
        item("c", "test", "h"),
        item("d", "test", "g", dataset="e"),
    ]
    assert not find_leaks(clean)
    leaks = find_leaks(
        [
            *clean,
            item("e", "test", "g"),
            item("f", "train", "i", "ann"),
            item("k", "test", "j", "ann", "bob"),
        ]
    )
    assert [(leak.kind, leak.count) for leak in leaks.found] == [("group", 1), ("identity", 1)]
    assert (
        leaks.words()[1]
        == "1 identities that the set names in more than one split, e.g. f (train) and k (test)"
    )
    found = find_leaks(clean, people=[1, 2, 1, None])
    assert [(leak.kind, leak.pairs) for leak in found.found] == [("lookalike", ((0, 2),))]


@pytest.mark.parametrize(
    "change",
    [
        "train.precision=bf16-mixed",
        "train.class_weights=true",
        "data.sampling=natural",
        "train.schedule=cosine",
    ],
)
def test_what_a_recipe_can_ask_for(change: str, items: list[Item], tmp_path: Path) -> None:
    run = train(
        load_recipe("unmask-lite0", [*TINY, *EPOCHS, "train.epochs=1", change]),
        items,
        tmp_path,
        jobs=1,
    )
    assert 0 < float(history(run)[0]["train_loss"]) < 2


def test_natural_sampling_shows_each_row_once_an_epoch(items: list[Item], tmp_path: Path) -> None:
    """48 training rows, 16 a batch: three steps, each row once."""
    shown: list[int] = []
    real = training.Batches.__iter__

    def spy(self: training.Batches) -> object:
        for batch in real(self):
            shown.extend(index for index, _ in batch)
            yield batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.Batches, "__iter__", spy)
        train(
            load_recipe(
                "unmask-lite0", [*TINY, *EPOCHS, "train.epochs=1", "data.sampling=natural"]
            ),
            items,
            tmp_path,
            jobs=1,
        )
    assert sorted(shown) == list(range(48))


def test_pseudo_fakes_alone(items: list[Item], tmp_path: Path) -> None:
    """Without a single fake in training; those of the train split are left out by themselves."""
    changes = [
        "pseudo_fakes={share: 1.0, map_weight: 0.2}",
        "train.images=96",
        "train.validations=1",
    ]
    run = train(load_recipe("unmask-lite0", [*TINY, *changes]), items, tmp_path / "run", jobs=1)
    facts = json.loads((run / "run.json").read_text())
    assert [(c["split"], c["real"], c["fake"]) for c in facts["counts"]] == [
        ("train", 24, 0),
        ("validation", 12, 12),
    ]
    assert facts["images_seen"] == 96


def test_the_map_loss_by_hand() -> None:
    masks = torch.zeros(4, 4, 4)
    masks[0, :2, :2] = 1  # forged in one quarter
    masks[1] = 1  # all over
    masks[2, 2:, 2:] = 0.25  # faintly, in another; masks[3]: not known to be
    flat = torch.zeros(4, 2, 2)
    # softmax of a flat map is 1/4 everywhere: log 4 for the two that count
    assert float(map_loss(flat, masks)) == pytest.approx(np.log(4))
    pointed = flat.clone()
    pointed[0, 0, 0] = pointed[2, 1, 1] = 20.0
    assert float(map_loss(pointed, masks)) == pytest.approx(0, abs=1e-4)
    # the mean is left alone
    assert float(map_loss(pointed + 3.0, masks)) == pytest.approx(0, abs=1e-4)
    assert float(map_loss(flat[1:2], masks[1:2])) == 0
