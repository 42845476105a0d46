"""CLIP's tower as a graph, with norms and head of our training in the place of its own.

What a run learns where only norms, and low-rank changes of the last blocks, learn is a few
megabytes at most. They are kept in a small file; the tower comes from its package, and the two are
joined on the machine where the bundle is used. The package's 8-bit matrices are made float, and
products are computed in float: the same on every processor, and no face's score depends on its
neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper
from PIL import Image as PillowImage
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from unmask.errors import LabError
from unmask.lab.models.clip_encoder import (
    IR_VERSION,
    LAYERS_OF_BLOCK,
    MEAN,
    OPSET,
    STD,
    WIDTH,
    layer_of,
    move_axes_to_inputs,
    nodes_before,
    parse_graph,
)

PATCH = 16
EPSILON = 1e-5
FACTORS = ("down", "up")
"""Of a low-rank change, by their names in a run (`unmask.lab.models.low_rank`)."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockHead:
    """A linear head on what one of the blocks gives.

    - block: which one, from 0
    - weight: (1536,), of a place's token and of the token for the whole picture
    """

    block: int
    weight: np.ndarray
    bias: float


@dataclass(frozen=True, slots=True, eq=False)
class TunedTower:
    """What was trained.

    - norms: weights and biases of the tower's layer norms, (768,) each, by timm's names
    - head: (1536,), of a place's token and of the token for the whole picture
    - bias: of the head
    - side: of the input, in pixels
    - depth: how many of the tower's blocks are used
    - low_rank: changes of matrices, by timm's names of the layers: down (rank, in), up (out, rank)
    - early: a second head, on an earlier block, whose map is added to the tower's; or none
    - video: heads whose sum is the tower's logit where faces are frames of a video; or none
    """

    norms: Mapping[str, np.ndarray]
    head: np.ndarray
    bias: float
    side: int
    depth: int
    low_rank: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    early: BlockHead | None = None
    video: tuple[BlockHead, ...] = ()

    def write(self, path: Path, notes: Mapping[str, str] | None = None) -> None:
        """Into a .safetensors file.

        - notes: texts that travel with it
        """
        arrays = {name: np.ascontiguousarray(array) for name, array in self.norms.items()}
        arrays |= {
            "head.weight": self.head,
            "head.bias": np.array([self.bias], np.float32),
            "shape": np.array([self.side, self.depth], np.int32),
        }
        if self.early is not None:
            arrays |= _arrays_of("early_head", self.early)
        for number, head in enumerate(self.video):
            arrays |= _arrays_of(f"video_head.{number}", head)
        for layer, factors in self.low_rank.items():
            for name, factor in zip(FACTORS, factors, strict=True):
                # as float16, which the joint graph stores its matrices in too
                arrays[f"{layer}.{name}"] = np.ascontiguousarray(factor, np.float16)
        save_file(arrays, path, dict(notes or {}))


def read_tuned(path: Path) -> tuple[TunedTower, Mapping[str, str]]:
    """What `TunedTower.write` wrote, and its notes. Raises LabError."""
    try:
        with safe_open(path, "numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            notes = dict(file.metadata() or {})
        head, bias = arrays.pop("head.weight"), arrays.pop("head.bias")
        side, depth = (int(number) for number in arrays.pop("shape"))
        early = _head(arrays, "early_head")
        video: list[BlockHead] = []
        while (found := _head(arrays, f"video_head.{len(video)}")) is not None:
            video.append(found)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise LabError(f"{path} cannot be read as a tuned tower: {error!r}") from error
    layers, norms = _low_rank(arrays)
    return TunedTower(norms, head, float(bias[0]), side, depth, layers, early, tuple(video)), notes


def _arrays_of(name: str, head: BlockHead) -> dict[str, np.ndarray]:
    """The head as it is kept in a file."""
    return {
        f"{name}.weight": head.weight,
        f"{name}.bias": np.array([head.bias], np.float32),
        f"{name}.block": np.array([head.block], np.int32),
    }


def _head(arrays: dict[str, np.ndarray], name: str) -> BlockHead | None:
    """The head of that name, taken out of the arrays; None where there is none."""
    weight = arrays.pop(f"{name}.weight", None)
    if weight is None:
        return None
    (bias,), (block,) = arrays.pop(f"{name}.bias"), arrays.pop(f"{name}.block")
    return BlockHead(int(block), weight, float(bias))


def tuned_from_state(state: Mapping[str, np.ndarray], side: int) -> TunedTower:
    """Of the state of a network whose backbone is the tower, and whose head is linear.

    - state: its arrays by name

    Raises LabError for another network.
    """
    ours = {
        name.removeprefix("backbone."): array
        for name, array in state.items()
        if name.startswith("backbone.") and ("norm" in name or name.endswith(FACTORS))
    }
    blocks = {int(name.split(".")[1]) for name in ours if name.startswith("blocks.")}
    head = state.get("head.out.weight")
    if not blocks or head is None or head.shape != (1, 2 * WIDTH):
        raise LabError("this run did not tune CLIP's tower under a linear head of one unit")
    low_rank, norms = _low_rank(ours)
    bias = float(state["head.out.bias"][0])
    return TunedTower(norms, head[0], bias, side, len(blocks), low_rank)


def _low_rank(
    arrays: Mapping[str, np.ndarray],
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], dict[str, np.ndarray]]:
    """The factors of low-rank changes, by layer, and all other arrays."""
    layers = {name.rpartition(".")[0] for name in arrays if name.rpartition(".")[2] in FACTORS}
    factors = {
        layer: (
            arrays[f"{layer}.down"].astype(np.float32),
            arrays[f"{layer}.up"].astype(np.float32),
        )
        for layer in sorted(layers)
    }
    others = {name: a for name, a in arrays.items() if name.rpartition(".")[0] not in layers}
    return factors, others


def tower_graph(tower: bytes, tuned: TunedTower) -> onnx.ModelProto:
    """faces (N, 3, side, side) float, 0–255 → logit (N,), heatmap (N, side / 16, side / 16).

    And video_logit (N,), where it has heads for videos.

    - tower: the package's graph
    """
    last = tuned.depth - 1
    further = [head.block for head in (tuned.early, *tuned.video) if head is not None]
    blocks = [last, *sorted({*further} - {last})]
    body = blocks_graph(tower, tuned, blocks)
    head = _heads(tuned, blocks)
    given = [value.name for value in body.graph.output]
    taken = [value.name for value in head.graph.input]
    model = compose.merge_models(body, head, io_map=list(zip(given, taken, strict=True)))
    onnx.checker.check_model(model)
    return model


def blocks_graph(tower: bytes, tuned: TunedTower, blocks: Sequence[int]) -> onnx.ModelProto:
    """faces (N, 3, side, side) float, 0–255 → the tokens that each block gives.

    - tower: the package's graph
    - blocks: which, from 0; the first is computed last
    """
    model = onnx.load_from_string(tower)
    _use_float_products(model.graph, _by_the_graphs_layers(tuned.low_rank))
    _set_norms(model.graph, tuned.norms)
    _set_positions(model.graph, tuned.side // PATCH)
    seen = [_output_of_block(model.graph, block) for block in blocks]
    body = _cut_out(model.graph, seen, tuned.side)
    front = parse_graph(
        f"""front (float[N,3,{tuned.side},{tuned.side}] faces)
        => (float[N,3,{tuned.side},{tuned.side}] pixels) {{
            centred = Sub (faces, middle)
            pixels = Div (centred, spread)
        }}""",
        {"middle": MEAN.reshape(1, 3, 1, 1), "spread": STD.reshape(1, 3, 1, 1)},
    )
    return compose.merge_models(front, body, io_map=[("pixels", body.graph.input[0].name)])


def _heads(tuned: TunedTower, blocks: Sequence[int]) -> onnx.ModelProto:
    """What the blocks give → the tower's logit and map, and its logit for videos.

    A head says something of each place: by its token, and by the token for the whole picture, which
    is the same for all. What two heads say is added; the logit is the mean over the places.

    - blocks: the last of the tower first
    """
    grid = tuned.side // PATCH
    tokens = f"float[N,{grid * grid + 1},{WIDTH}]"
    inputs = ", ".join(f"{tokens} seen_{block}" for block in blocks)
    add_early, bias = "both = Identity (late)", tuned.bias
    weights = {
        "norm_weight": tuned.norms["norm.weight"],
        "norm_bias": tuned.norms["norm.bias"],
        "place_head": tuned.head[:WIDTH],
        "whole_head": tuned.head[WIDTH:],
        "from_0": np.array([0], np.int64),
        "from_1": np.array([1], np.int64),
        "to_end": np.array([grid * grid + 1], np.int64),
        "token_axis": np.array([1], np.int64),
        "map_shape": np.array([-1, grid, grid], np.int64),
    }
    if tuned.early is not None:
        seen_early = f"seen_{tuned.early.block}"
        add_early = f"""of_places_early = MatMul ({seen_early}, place_head_early)
            of_whole_early = MatMul ({seen_early}, whole_head_early)
            places_early = Slice (of_places_early, from_1, to_end, token_axis)
            whole_early = Slice (of_whole_early, from_0, from_1, token_axis)
            early = Add (places_early, whole_early)
            both = Add (late, early)"""
        bias += tuned.early.bias
        weights["place_head_early"] = tuned.early.weight[:WIDTH]
        weights["whole_head_early"] = tuned.early.weight[WIDTH:]
    weights["head_bias"] = np.array(bias, np.float32)
    video, video_weights = _video_heads(tuned.video)
    weights |= video_weights
    outputs = f"float[N] logit, float[N,{grid},{grid}] heatmap"
    outputs += ", float[N] video_logit" if tuned.video else ""
    return parse_graph(
        f"""head ({inputs}) => ({outputs}) {{
            tokens = LayerNormalization <epsilon: float = {EPSILON}>
                (seen_{blocks[0]}, norm_weight, norm_bias)
            of_places = MatMul (tokens, place_head)
            of_whole = MatMul (tokens, whole_head)
            places = Slice (of_places, from_1, to_end, token_axis)
            whole = Slice (of_whole, from_0, from_1, token_axis)
            late = Add (places, whole)
            {add_early}
            shifted = Add (both, head_bias)
            heatmap = Reshape (shifted, map_shape)
            logit = ReduceMean <keepdims: int = 0> (shifted, token_axis)
            {video}
        }}""",
        weights,
    )


def _video_heads(heads: Sequence[BlockHead]) -> tuple[str, dict[str, np.ndarray]]:
    """Nodes, in ONNX's text, that add up what the heads for videos say; and their weights."""
    if not heads:
        return "", {}
    nodes: list[str] = []
    weights: dict[str, np.ndarray] = {}
    said = "video_bias"
    for n, head in enumerate(heads):
        weights |= {f"place_{n}": head.weight[:WIDTH], f"whole_{n}": head.weight[WIDTH:]}
        nodes += [
            f"of_places_{n} = MatMul (seen_{head.block}, place_{n})",
            f"of_whole_{n} = MatMul (seen_{head.block}, whole_{n})",
            f"places_{n} = Slice (of_places_{n}, from_1, to_end, token_axis)",
            f"whole_of_{n} = Slice (of_whole_{n}, from_0, from_1, token_axis)",
            f"at_{n} = Add (places_{n}, whole_of_{n})",
            f"mean_{n} = ReduceMean <keepdims: int = 0> (at_{n}, token_axis)",
            f"said_{n} = Add ({said}, mean_{n})",
        ]
        said = f"said_{n}"
    weights["video_bias"] = np.array(sum(head.bias for head in heads), np.float32)
    return "\n".join([*nodes, f"video_logit = Identity ({said})"]), weights


def _by_the_graphs_layers(
    low_rank: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The changes under the graph's names, as it multiplies: (in, rank) and (rank, out)."""
    changes = {}
    for name, (down, up) in low_rank.items():
        _, block, layer = name.split(".", 2)
        if layer == "attn.qkv":
            parts = {
                f"self_attn.{letter}_proj": part
                for letter, part in zip("qkv", np.split(up, 3), strict=True)
            }
        else:
            parts = {LAYERS_OF_BLOCK[layer]: up}
        for part, its_up in parts.items():
            changes[f"encoder.layers.{block}.{part}"] = (down.T, its_up.T)
    return changes


def _use_float_products(
    graph: onnx.GraphProto, changes: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> None:
    """Each product of 8-bit numbers becomes one of floats, its matrix with its low-rank change.

    The exporter wrote a product as four nodes: quantise the input, multiply, cast, scale. Zero
    points of the matrices must be 0. Matrices are stored as float16, which moves no probability by
    more than 0.001, and made float32 once, when a session opens. Making them there from the 8-bit
    numbers takes 450 MB more for a moment.

    - changes: of the matrices, by layer: thin factors (in, rank) and (rank, out)
    """
    stored = {part.name: part for part in graph.initializer}
    maker = {output: node for node in graph.node for output in node.output}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    for product in [node for node in graph.node if node.op_type == "MatMulInteger"]:
        quantised, name, _, _ = product.input
        if numpy_helper.to_array(stored[name.replace("_quantized", "_zero_point")]).any():
            raise LabError(f"the tower's matrix {name} has zero points other than 0")
        (cast,) = users[product.output[0]]
        (scaled,) = users[cast.output[0]]

        scale = numpy_helper.to_array(stored[name.replace("_quantized", "_scale")])
        matrix = numpy_helper.to_array(stored[name]).astype(np.float32) * scale
        if layer_of(product) in changes:
            left, right = changes[layer_of(product)]
            matrix = matrix + left @ right
        half = numpy_helper.from_array(matrix.astype(np.float16), f"{name}_half")
        graph.initializer.append(half)

        to_float = int(onnx.TensorProto.FLOAT)
        widen = helper.make_node("Cast", [half.name], [f"{name}_float"], to=to_float)
        multiply = helper.make_node(
            "MatMul",
            [maker[quantised].input[0], f"{name}_float"],
            [scaled.output[0]],
            product.name,
        )
        place = list(graph.node).index(scaled)
        graph.node.remove(scaled)
        for node in (multiply, widen):
            graph.node.insert(place, node)


def _set_norms(graph: onnx.GraphProto, norms: Mapping[str, np.ndarray]) -> None:
    stored = {part.name: part for part in graph.initializer}
    for name, array in norms.items():
        if name.startswith("norm."):  # behind the last block: the head has it
            continue
        place = name.replace("norm_pre", "pre_layrnorm").replace(".norm", ".layer_norm")
        place = place.replace("blocks.", "encoder.layers.")
        part = stored.get(f"vision_model.{place}")
        if part is None or list(part.dims) != list(array.shape):
            raise LabError(f"the tower has no norm {name!r} of {array.shape}")
        part.CopyFrom(numpy_helper.from_array(array.astype(np.float32), part.name))


def _set_positions(graph: onnx.GraphProto, grid: int) -> None:
    """Positions of a grid of another size: interpolated as timm does it, bicubic, antialiased."""
    part = next(p for p in graph.initializer if p.name.endswith("position_embedding.weight"))
    positions = numpy_helper.to_array(part)
    side = math.isqrt(len(positions) - 1)
    if side != grid:
        squares = positions[1:].reshape(side, side, WIDTH)
        resized = [
            np.asarray(
                PillowImage.fromarray(np.ascontiguousarray(squares[..., channel])).resize(
                    (grid, grid), PillowImage.Resampling.BICUBIC
                )
            )
            for channel in range(WIDTH)
        ]
        places = np.stack(resized, axis=-1).reshape(grid * grid, WIDTH)
        positions = np.concatenate([positions[:1], places])
    part.CopyFrom(numpy_helper.from_array(positions.astype(np.float32), part.name))
    # the rows that are looked up: one for the whole picture, and one for each place
    rows = np.arange(grid * grid + 1, dtype=np.int64)[None]
    for node in graph.node:
        if node.op_type == "Gather" and part.name in node.input:
            graph.initializer.append(numpy_helper.from_array(rows, "position_rows"))
            node.input[1] = "position_rows"


def _output_of_block(graph: onnx.GraphProto, block: int) -> str:
    """What the block numbered `block` gives."""
    name = f"/vision_model/encoder/layers.{block}/Add_1"
    for node in graph.node:
        if node.name == name:
            return str(node.output[0])
    raise LabError(f"the tower has no block {block}")


def _cut_out(graph: onnx.GraphProto, wanted: Sequence[str], side: int) -> onnx.ModelProto:
    """The part of the graph that gives the values `wanted`, with names of its own, in our opset.

    - wanted: the first is computed last
    """
    nodes, needed = nodes_before(graph, wanted[0])
    needed |= move_axes_to_inputs(nodes, graph)
    kept = [part for part in graph.initializer if part.name in needed]
    number = onnx.TensorProto.FLOAT
    tokens = (side // PATCH) ** 2 + 1
    pixels = helper.make_tensor_value_info(graph.input[0].name, number, ["N", 3, side, side])
    seen = [helper.make_tensor_value_info(name, number, ["N", tokens, WIDTH]) for name in wanted]
    cut = helper.make_model(
        helper.make_graph(nodes, "tower", [pixels], seen, kept),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    return compose.add_prefix(cut, "tower/")
