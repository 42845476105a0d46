"""A bundle whose graph multiplies in 8 bits with ranges chosen as it runs, as CLIP's tower does.

`python eight_bit.py BUNDLE` prints the probabilities that it gives for a few crops.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

SIZE = 32
INPUTS = 3 * SIZE * SIZE
WEIGHT_SCALE = 1e-6


def weights() -> np.ndarray:
    """(INPUTS, 1) int8: large ones, side by side, so that sums of two products pass 16 bits."""
    rng = np.random.default_rng(7)
    values = rng.choice([-127, 127], INPUTS).reshape(-1, 2)
    values[:, 1] = values[:, 0]
    return values.reshape(-1, 1).astype(np.int8)


def crops() -> list[np.ndarray]:
    """Three bright crops, (SIZE, SIZE, 3) uint8."""
    rng = np.random.default_rng(3)
    return [rng.integers(low, 256, (SIZE, SIZE, 3), dtype=np.uint8) for low in (0, 100, 200)]


def exact_logits() -> np.ndarray:
    """What the graph computes, in exact numbers."""
    rows = np.stack([crop.transpose(2, 0, 1).ravel() for crop in crops()]).astype(np.float64)
    return rows @ weights().astype(np.float64)[:, 0] * WEIGHT_SCALE


def graph() -> bytes:
    """faces (N, 3, SIZE, SIZE) uint8 → logit (N,), heatmap (N, 1, 1)."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Cast", ["faces"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["floats", "flat"], ["rows"]),
        helper.make_node("DynamicQuantizeLinear", ["rows"], ["quantised", "scale", "zero"]),
        helper.make_node("MatMulInteger", ["quantised", "weights", "zero"], ["sums"]),
        helper.make_node("Cast", ["sums"], ["products"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["scale", "weight_scale"], ["both_scales"]),
        helper.make_node("Mul", ["products", "both_scales"], ["column"]),
        helper.make_node("Reshape", ["column", "one_number"], ["logit"]),
        helper.make_node("Reshape", ["column", "one_place"], ["heatmap"]),
    ]
    arrays = {
        "flat": np.array([-1, INPUTS], np.int64),
        "weights": weights(),
        "weight_scale": np.array(WEIGHT_SCALE, np.float32),
        "one_number": np.array([-1], np.int64),
        "one_place": np.array([-1, 1, 1], np.int64),
    }
    made = helper.make_graph(
        nodes,
        "eight_bit",
        [helper.make_tensor_value_info("faces", TensorProto.UINT8, ["N", 3, SIZE, SIZE])],
        [
            helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["N"]),
            helper.make_tensor_value_info("heatmap", TensorProto.FLOAT, ["N", 1, 1]),
        ],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def probabilities(path: Path) -> list[float]:
    """What the bundle says of the crops."""
    from unmask.bundle.session import Bundle

    bundle = Bundle(path, check=False)
    return [float(p) for p in bundle.card.calibration.probabilities(bundle.score(crops()).logits)]


if __name__ == "__main__":
    print(json.dumps(probabilities(Path(sys.argv[1]))))
