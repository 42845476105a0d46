"""A network made elsewhere → a bundle: its graph gets our input and outputs, and a measured card.

Nothing is believed of it. What its output stands for is tried on labelled faces, and calibration,
thresholds, gates and figures are measured as for a network trained here.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from unmask._internal.onnx_runtime import open_session
from unmask.bundle.card import SCHEMA
from unmask.bundle.card import preprocessing as preprocessing_of
from unmask.bundle.function import MOST_PROBABLE, logits_of
from unmask.bundle.session import write_bundle
from unmask.errors import LabError
from unmask.faces.alignment import CropSpec
from unmask.lab.data.manifest import read_manifests, require_both_classes, select
from unmask.lab.evaluation.metrics import Array, bootstrap_auc
from unmask.lab.export.export import TOLERANCE_FLOAT, cut_faces, finish
from unmask.lab.export.thresholds import Faces, Rules
from unmask.lab.models.foreign import Positive, Preprocessing
from unmask.lab.recipe import GateRules, ThresholdRules
from unmask.lab.training.train import command_line
from unmask.types import Image

SMALLEST_OPSET = 11
"""Of ONNX, from which on the operators are there that are put around a network."""

PREFIX = "foreign/"
"""Before every name of the network's own graph, so that none is taken twice."""

SAME_CLASS = 1e-3
"""How far two outputs may miss a sum of 1 and still be taken for probabilities."""

BATCH = 32
ROUNDS, SEED = 1000, 1


class Words(NamedTuple):
    """What the card says that cannot be measured."""

    name: str
    licence: str
    source: str


def wrap(
    model: bytes,
    out: Path,
    data: Sequence[Path],
    positive: Positive,
    preprocessing: Preprocessing,
    words: Words,
    *,
    split: str | None = None,
    test: Sequence[Path] = (),
    output: str | None = None,
) -> None:
    """Write the bundle of an ONNX model.

    - data: manifests of labelled faces, which prove the polarity and choose calibration, thresholds
      and gates; `split`: of which only these rows
    - positive: what a high output, or the second of two, stands for
    - test: manifests that are measured for the card, as `export_run` has them
    - output: the one that is meant, where the model has several

    Raises LabError where the graph does not fit, or where the labelled faces do not bear the
    polarity out; OutputError.
    """
    items = read_manifests(data)
    chosen = items if split is None else select(items, split)
    require_both_classes(chosen, f"split {split!r}" if split else "the data")
    ours, spec = with_our_input(model, preprocessing, output)
    faces = cut_faces(chosen, spec)
    raw = run(ours, faces.crops)
    probabilities = are_probabilities(raw)
    logits = to_logits(raw, probabilities=probabilities, positive=positive)
    prove_polarity(faces, logits, positive)
    graph = with_our_outputs(ours, raw.shape[1], probabilities=probabilities, positive=positive)
    card = _card(model, spec, preprocessing, positive, words)
    rules = Rules(ThresholdRules(), GateRules())
    write_bundle(finish(graph, card, faces, rules, test, TOLERANCE_FLOAT, logits=logits), out)


def with_our_input(
    model: bytes, preprocessing: Preprocessing, output: str | None = None
) -> tuple[onnx.ModelProto, CropSpec]:
    """The model behind `faces` (N, 3, size, size) uint8 RGB, and how these are cut.

    Raises LabError.
    """
    graph_of = _parsed(model)
    graph = graph_of.graph
    taken, size, channels_last = _input(graph, preprocessing.size)
    given = _output(graph, output)
    kind = taken.type.tensor_type.elem_type
    spec = CropSpec(size, preprocessing.margin, preprocessing.centre_y)

    # In: to floats, in the network's order and scale.
    std = np.array(preprocessing.std, np.float32).reshape(1, 3, 1, 1)
    mean = np.array(preprocessing.mean, np.float32).reshape(1, 3, 1, 1)
    constants: dict[str, Array] = {
        "slope": 1 / (255 * std),
        "offset": -mean / std,
        "channels": np.array([2, 1, 0], np.int64),
    }
    nodes = [helper.make_node("Cast", ["faces"], ["as_floats"], to=TensorProto.FLOAT)]
    last = "as_floats"
    if preprocessing.order == "BGR":
        nodes.append(helper.make_node("Gather", [last, "channels"], ["ordered"], axis=1))
        last = "ordered"
    nodes += [
        helper.make_node("Mul", [last, "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["normalised"]),
    ]
    last = "normalised"
    if channels_last:
        nodes.append(helper.make_node("Transpose", [last], ["channels_last"], perm=[0, 2, 3, 1]))
        last = "channels_last"
    nodes.append(helper.make_node("Cast", [last], [taken.name], to=kind))

    # Out: floats, whatever they stand for.
    nodes_after = [helper.make_node("Cast", [given.name], ["raw"], to=TensorProto.FLOAT)]
    own = list(graph.node)
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend([*nodes, *own, *nodes_after])
    graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items()
    )
    graph.input.append(
        helper.make_tensor_value_info("faces", TensorProto.UINT8, ["N", 3, size, size])
    )
    graph.output.append(helper.make_tensor_value_info("raw", TensorProto.FLOAT, None))
    return graph_of, spec


def with_our_outputs(
    model: onnx.ModelProto, width: int, *, probabilities: bool, positive: Positive
) -> bytes:
    """The graph of a bundle: logit (N,), and a heat map of one place, since there is none.

    - model: of `with_our_input`
    - width: how many outputs it has for a face, 1 or 2
    """
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    graph = whole.graph
    constants: dict[str, Array] = {
        "width": np.array([-1, width], np.int64),
        "first": np.array(0, np.int64),
        "second": np.array(1, np.int64),
        "low": np.array(1 - MOST_PROBABLE, np.float32),
        "high": np.array(MOST_PROBABLE, np.float32),
        "one": np.array(1, np.float32),
        "place": np.array([-1, 1, 1], np.int64),
    }
    nodes = [
        helper.make_node("Reshape", ["raw", "width"], ["table"]),
        helper.make_node("Gather", ["table", "second" if width == 2 else "first"], ["up"], axis=1),
    ]
    if probabilities:
        nodes += [
            helper.make_node("Clip", ["up", "low", "high"], ["p"]),
            helper.make_node("Sub", ["one", "p"], ["q"]),
            helper.make_node("Log", ["p"], ["log_p"]),
            helper.make_node("Log", ["q"], ["log_q"]),
            helper.make_node("Sub", ["log_p", "log_q"], ["risen"]),
        ]
    elif width == 2:
        nodes += [
            helper.make_node("Gather", ["table", "first"], ["down"], axis=1),
            helper.make_node("Sub", ["up", "down"], ["risen"]),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["up"], ["risen"]))
    turn = "Identity" if positive == "fake" else "Neg"
    nodes += [
        helper.make_node(turn, ["risen"], ["logit"]),
        helper.make_node("Reshape", ["logit", "place"], ["heatmap"]),
    ]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items() if name in used
    )
    del graph.output[:]
    graph.output.extend(
        [
            helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["N"]),
            helper.make_tensor_value_info("heatmap", TensorProto.FLOAT, ["N", 1, 1]),
        ]
    )
    return bytes(whole.SerializeToString())


def run(model: onnx.ModelProto, crops: Sequence[Image]) -> Array:
    """What the model says of the crops as it is: (n, 1) or (n, 2).

    Raises LabError.
    """
    try:
        session = open_session(model.SerializeToString())
        batches = [
            session.run(["raw"], {"faces": np.stack(crops[at : at + BATCH]).transpose(0, 3, 1, 2)})[
                0
            ]
            for at in range(0, len(crops), BATCH)
        ]
    except Exception as error:  # ONNX Runtime's errors share no base
        raise LabError(
            f"ONNX Runtime cannot run the model: {str(error).splitlines()[0]:.300}; its batch must"
            " not be fixed to one picture"
        ) from error
    raw = np.concatenate([batch.reshape(len(batch), -1) for batch in batches])
    if len(raw) != len(crops) or raw.shape[1] not in (1, 2):
        raise LabError(
            f"the model gives {raw.shape[1]} numbers for a face; a detector gives one, or two"
            " classes"
        )
    if not np.isfinite(raw).all():
        raise LabError("the model gives numbers that are not finite: is its preprocessing right?")
    return np.asarray(raw, np.float64)


def are_probabilities(raw: Array) -> bool:
    """Whether these outputs are probabilities; logits otherwise.

    Over a few hundred faces some logit lies below 0 or above 1.
    """
    within = bool((raw >= 0).all() and (raw <= 1).all())
    return within and (raw.shape[1] == 1 or bool(np.abs(raw.sum(axis=1) - 1).max() < SAME_CLASS))


def to_logits(raw: Array, *, probabilities: bool, positive: Positive) -> Array:
    """Logits (n,) that rise with the probability of fake: what `with_our_outputs` computes."""
    up = raw[:, -1]
    if probabilities:
        risen: Array = logits_of(up)
    elif raw.shape[1] == 2:
        risen = up - raw[:, 0]
    else:
        risen = up
    return np.asarray(risen if positive == "fake" else -risen, np.float32)


def prove_polarity(faces: Faces, logits: Array, positive: Positive) -> None:
    """Raises LabError unless fakes have higher logits than real faces, beyond chance."""
    interval = bootstrap_auc(faces.labels, logits, faces.groups, rounds=ROUNDS, seed=SEED)
    low, high = interval or (0.0, 1.0)
    if low > 0.5:
        return
    found = f"on {len(logits)} labelled faces its AUC is {low:.2f} to {high:.2f} (95 %)"
    if high < 0.5:
        other = "real" if positive == "fake" else "fake"
        raise LabError(
            f"{found}: a high output stands for {other} faces, so it is --positive {other}"
        )
    raise LabError(
        f"{found}: whether it tells fake from real cannot be said; check size, margin, mean, std"
        " and the order of channels, or take more faces"
    )


def _parsed(model: bytes) -> onnx.ModelProto:
    try:
        parsed = onnx.load_model_from_string(model)
        onnx.checker.check_model(parsed)
        opset = max(
            entry.version for entry in parsed.opset_import if entry.domain in ("", "ai.onnx")
        )
    except Exception as error:  # the onnx package raises as it likes
        raise LabError(f"this is no ONNX model: {str(error).splitlines()[0]:.200}") from error
    if opset < SMALLEST_OPSET:
        raise LabError(
            f"the model is written for opset {opset}; export it for {SMALLEST_OPSET} or later"
        )
    return compose.add_prefix(parsed, PREFIX)


def _input(graph: onnx.GraphProto, size: int | None) -> tuple[Any, int, bool]:
    """The input, its side in pixels, and whether the channels come last."""
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise LabError(f"the model takes {len(inputs)} inputs; a detector takes faces alone")
    shape = [side.dim_value for side in inputs[0].type.tensor_type.shape.dim]  # 0: not fixed
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise LabError(
            f"the model takes {shape}; a detector takes (N, 3, height, width) or (N, height, width,"
            " 3)"
        )
    if shape[0] == 1:
        raise LabError("the model takes one picture at a time; export it with a dynamic batch")
    channels_last = shape[1] != 3
    height, width = shape[1:3] if channels_last else shape[2:]
    if height != width or (size is not None and height not in (0, size)):
        raise LabError(f"the model takes {height} × {width} pixels; faces are square: --size")
    side = size or height
    if not side:
        raise LabError("the model takes pictures of any size; say which it was made for: --size")
    return inputs[0], side, channels_last


def _output(graph: onnx.GraphProto, name: str | None) -> Any:
    outputs = {value.name.removeprefix(PREFIX): value for value in graph.output}
    if name is None and len(outputs) == 1:
        return next(iter(outputs.values()))
    if name not in outputs:
        raise LabError(f"which output is meant? --output, one of: {', '.join(outputs)}")
    return outputs[name]


def _card(
    model: bytes, spec: CropSpec, wanted: Preprocessing, positive: Positive, words: Words
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "name": words.name,
        "version": "1",
        "licence": words.licence,
        "made_by": {
            "command": command_line(),
            "wrapped": words.source,
            "wrapped_sha256": hashlib.sha256(model).hexdigest(),
            "output_stands_for": positive,
            "network_takes": f"{wanted.order}, mean {list(wanted.mean)}, std {list(wanted.std)}",
        },
        "positive_class": "fake",
        "preprocessing": preprocessing_of(spec),
        "training_data": [],
        "training_data_terms": "Not known here: the network was made elsewhere.",
        "intended_use": "What its makers say; measured here on the data sets below.",
        "limits": [
            "Made elsewhere and wrapped; what it was trained on is not known here.",
            "It has no heat map: reports show none.",
        ],
        "evaluated_on": datetime.date.today().isoformat(),
    }
