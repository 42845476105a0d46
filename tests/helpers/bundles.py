"""Small bundles for tests: the graph scores a crop by its brightness, as
`unmask.testing.FakeScorer` does."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from unmask.bundle import seal
from unmask.bundle.session import Bundle, canary_crops
from unmask.faces.alignment import CropSpec
from unmask.lab.models import pair
from unmask.lab.models.tuned_tower import TunedTower
from unmask.testing import example_card


def brightness_graph(size: int = 32, sign: float = 1.0, kind: int = TensorProto.UINT8) -> bytes:
    """faces (N, 3, size, size) → heatmap (N, 4, 4) of (brightness - 128) / 16, and its mean as
    logit (N,)."""
    constants = {"middle": 128.0, "step": 16.0 * sign}
    nodes = [
        helper.make_node("Cast", ["faces"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node(
            "AveragePool",
            ["floats"],
            ["pooled"],
            kernel_shape=[size // 4] * 2,
            strides=[size // 4] * 2,
        ),
        helper.make_node("ReduceMean", ["pooled", "channel"], ["grey"], keepdims=0),
        helper.make_node("Sub", ["grey", "middle"], ["centred"]),
        helper.make_node("Div", ["centred", "step"], ["heatmap"]),
        helper.make_node("ReduceMean", ["heatmap", "places"], ["logit"], keepdims=0),
    ]
    initializers = [
        numpy_helper.from_array(np.array(v, np.float32), k) for k, v in constants.items()
    ]
    initializers.append(numpy_helper.from_array(np.array([1], np.int64), "channel"))
    initializers.append(numpy_helper.from_array(np.array([1, 2], np.int64), "places"))
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("faces", kind, ["N", 3, size, size])],
        [
            helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["N"]),
            helper.make_tensor_value_info("heatmap", TensorProto.FLOAT, ["N", 4, 4]),
        ],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def greenness_graph(_: bytes, tuned: TunedTower) -> onnx.ModelProto:
    """Instead of a tuned tower's: how green each 16 × 16 patch is, in hundredths.

    Heads for videos say twice as much."""
    grid = tuned.side // 16
    nodes = [
        helper.make_node("Conv", ["faces", "colours"], ["green"]),
        helper.make_node(
            "AveragePool", ["green"], ["four"], kernel_shape=[16, 16], strides=[16, 16]
        ),
        helper.make_node("Squeeze", ["four", "channel"], ["square"]),
        helper.make_node("Mul", ["square", "hundredth"], ["heatmap"]),
        helper.make_node("ReduceMean", ["heatmap", "places"], ["logit"], keepdims=0),
    ]
    arrays = {
        "colours": np.array([-1, 2, -1], np.float32).reshape(1, 3, 1, 1),
        "channel": np.array([1], np.int64),
        "places": np.array([1, 2], np.int64),
        "hundredth": np.array(0.01, np.float32),
    }
    further = []
    if tuned.video:
        nodes.append(helper.make_node("Add", ["logit", "logit"], ["video_logit"]))
        further = [helper.make_tensor_value_info("video_logit", TensorProto.FLOAT, ["N"])]
    side = tuned.side
    graph = helper.make_graph(
        nodes,
        "greenness",
        [helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["N", 3, side, side])],
        [
            helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["N"]),
            helper.make_tensor_value_info("heatmap", TensorProto.FLOAT, ["N", grid, grid]),
            *further,
        ],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def stand_in_parts(path: Path, monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> Path:
    """Instead of the default bundle, for `modules`, one that sees brightness; it is written to
    `path`. Instead of the tower, greenness."""
    write_bundle(path)
    for module in modules:
        monkeypatch.setattr(module, "find_bundle", lambda name: path)
    monkeypatch.setattr(pair, "tower_graph", greenness_graph)
    return path


def write_bundle(path: Path, graph: bytes | None = None, **changes: Any) -> Path:
    """A bundle with right canaries; changes: top-level keys of the card."""
    graph = graph or brightness_graph()
    card = example_card(**changes)
    if "canaries" not in changes:
        path.write_bytes(seal(graph, card))
        where = card["preprocessing"]
        spec = CropSpec(where["size"], where["margin"], where["centre_y"], where["interpolation"])
        logits = Bundle(path, check=False).score(canary_crops(1, 3, spec)).logits
        card["canaries"] = {"seed": 1, "tolerance": 0.01, "logits": [float(v) for v in logits]}
    path.write_bytes(seal(graph, card))
    return path
