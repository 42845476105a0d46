"""A small network and the tuned tower in one graph that can leave the tower out.

The small network looks at every face. The tower takes fifteen times as long and knows more kinds
of fakes; it looks unless the input `quick` says not to. What the small network says alone is put on
the scale of what both say together, so that the two can be compared and averaged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper

from unmask.bundle.session import QUICK, VIDEO_LOGIT
from unmask.lab.models.clip_encoder import IR_VERSION, OPSET, parse_graph
from unmask.lab.models.tuned_tower import PATCH, TunedTower, tower_graph


@dataclass(frozen=True, slots=True)
class Mix:
    """How the logits of the small network and of the tower are joined.

    - small, tower, constant: joint logit = small · s + tower · t + constant
    - quick_slope, quick_constant: what the joint logit is expected to be, by s alone
    - video: the same of faces in videos, of which t is what the tower's heads for videos say; None
      where it has none
    """

    small: float
    tower: float
    constant: float
    quick_slope: float
    quick_constant: float
    video: Mix | None = None


def join(small: bytes, small_size: int, tower: bytes, tuned: TunedTower, mix: Mix) -> bytes:
    """The joint graph.

    faces (N, 3, small_size, small_size) uint8, quick () bool, false if it is not given → logit
    (N,), heatmap (N, g, g), novelty (N,) where the small network measures it, and video_logit (N,)
    where there is a mixture for videos. g is the tower's side in patches. The mean of the heat map
    is the logit, as in every bundle.

    - small: the graph of a bundle
    - tower: the package's graph
    """
    grid = tuned.side // PATCH
    inner = compose.add_prefix(onnx.load_from_string(small), "small/")
    inner.opset_import[0].version = OPSET
    front = resizing(small_size, tuned.side)
    model = compose.merge_models(front, inner, io_map=[("same", "small/faces")])
    model.graph.node.extend(_enlarged_map(grid))
    large = compose.add_prefix(tower_graph(tower, tuned), "large/").graph
    weights = _take_weights_out(large)
    model.graph.initializer.extend(large.initializer)
    model.graph.node.extend(weights)
    choice = helper.make_node(
        "If",
        [QUICK],
        ["logit", "heatmap", *[VIDEO_LOGIT] * (mix.video is not None)],
        then_branch=_small_alone(mix),
        else_branch=_both(large, mix),
    )
    model.graph.node.append(choice)

    # Outputs are called as a bundle's are; `quick` may be left out, for it has a value.
    number = onnx.TensorProto.FLOAT
    has_novelty = any(value.name == "small/novelty" for value in model.graph.output)
    del model.graph.output[:]
    model.graph.output.extend(
        [
            helper.make_tensor_value_info("logit", number, ["N"]),
            helper.make_tensor_value_info("heatmap", number, ["N", grid, grid]),
        ]
    )
    if mix.video is not None:
        model.graph.output.append(helper.make_tensor_value_info(VIDEO_LOGIT, number, ["N"]))
    if has_novelty:
        model.graph.node.append(helper.make_node("Identity", ["small/novelty"], ["novelty"]))
        model.graph.output.append(helper.make_tensor_value_info("novelty", number, ["N"]))
    model.graph.input.append(helper.make_tensor_value_info(QUICK, onnx.TensorProto.BOOL, []))
    arrays = {
        QUICK: np.array(False),
        "map_axes": np.array([1, 2], np.int64),
        "map_channel": np.array([1], np.int64),
        "map_size": np.array([grid, grid], np.int64),
        "map_shape": np.array([-1, grid, grid], np.int64),
    }
    model.graph.initializer.extend(
        numpy_helper.from_array(array, name) for name, array in arrays.items()
    )
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def resizing(small_size: int, side: int) -> onnx.ModelProto:
    """faces (N, 3, small_size, small_size) uint8 → same, and resized (N, 3, side, side) float."""
    return parse_graph(
        f"""front (uint8[N,3,{small_size},{small_size}] faces)
        => (uint8[N,3,{small_size},{small_size}] same, float[N,3,{side},{side}] resized) {{
            same = Identity (faces)
            floats = Cast <to: int = 1> (faces)
            resized = Resize <axes: ints = [2, 3], mode: string = "cubic",
                cubic_coeff_a: float = -0.5, antialias: int = 1> (floats, , , tower_size)
        }}""",
        {"tower_size": np.array([side, side], np.int64)},
    )


def _enlarged_map(grid: int) -> list[onnx.NodeProto]:
    """The small network's heat map on the tower's grid; its mean stays the logit."""
    inner = parse_graph(
        f"""enlarged (float[N] ours, float[N,h,w] map) => (float[N,{grid},{grid}] small_map) {{
            map_four = Unsqueeze (map, map_channel)
            enlarged = Resize <axes: ints = [2, 3], mode: string = "linear">
                (map_four, , , map_size)
            square = Reshape (enlarged, map_shape)
            square_mean = ReduceMean <keepdims: int = 1> (square, map_axes)
            away = Sub (square, square_mean)
            column = Unsqueeze (ours, map_axes)
            small_map = Add (away, column)
        }}""",
        {},
    )
    taken = {"ours": "small/logit", "map": "small/heatmap"}
    return _rewired(inner.graph, taken)


def _small_alone(mix: Mix) -> onnx.GraphProto:
    """What is computed where the tower is left out."""
    outputs = "float[N] quick_logit, float[N,g,g] quick_map"
    weights = {"slope": mix.quick_slope, "constant": mix.quick_constant}
    video = ""
    if mix.video is not None:
        outputs += ", float[N] quick_video"
        weights |= {
            "video_slope": mix.video.quick_slope,
            "video_constant": mix.video.quick_constant,
        }
        video = """small_logit = ReduceMean <keepdims: int = 0> (small_map, map_axes)
            steep_video = Mul (small_logit, video_slope)
            quick_video = Add (steep_video, video_constant)"""
    branch = parse_graph(
        f"""small_alone (float[N,g,g] small_map) => ({outputs}) {{
            steep = Mul (small_map, slope)
            quick_map = Add (steep, constant)
            quick_logit = ReduceMean <keepdims: int = 0> (quick_map, map_axes)
            {video}
        }}""",
        {name: np.array(value, np.float32) for name, value in weights.items()},
    ).graph
    del branch.input[:]  # a branch takes the names around it
    return branch


def _take_weights_out(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Take those nodes out of the graph that only make its matrices wider, and return them.

    They belong outside the branch, as the matrices do: of a branch's constants ONNX Runtime keeps
    several copies, 390 MB more for the tower.
    """
    constants = {part.name for part in graph.initializer}
    widening = [n for n in graph.node if n.op_type == "Cast" and n.input[0] in constants]
    for node in widening:
        graph.node.remove(node)
    return widening


def _both(tower: onnx.GraphProto, mix: Mix) -> onnx.GraphProto:
    """The tower's nodes, and behind them the mixture, as a branch. Constants lie outside."""
    inputs = "float[N,g,g] tower_map, float[N,g,g] small_map"
    outputs = "float[N] both_logit, float[N,g,g] both_map"
    weights = {"of_small": mix.small, "of_tower": mix.tower, "constant": mix.constant}
    video = ""
    if mix.video is not None:
        inputs += ", float[N] tower_video"
        outputs += ", float[N] both_video"
        weights |= {
            "video_of_small": mix.video.small,
            "video_of_tower": mix.video.tower,
            "video_constant": mix.video.constant,
        }
        video = """small_logit = ReduceMean <keepdims: int = 0> (small_map, map_axes)
            c = Mul (small_logit, video_of_small)
            d = Mul (tower_video, video_of_tower)
            cd = Add (c, d)
            both_video = Add (cd, video_constant)"""
    mixer = parse_graph(
        f"""mixer ({inputs}) => ({outputs}) {{
            a = Mul (small_map, of_small)
            b = Mul (tower_map, of_tower)
            ab = Add (a, b)
            both_map = Add (ab, constant)
            both_logit = ReduceMean <keepdims: int = 0> (both_map, map_axes)
            {video}
        }}""",
        {name: np.array(value, np.float32) for name, value in weights.items()},
    ).graph
    taken = {"tower_map": "large/heatmap", "tower_video": f"large/{VIDEO_LOGIT}"}
    branch = helper.make_graph(
        [
            *_rewired(tower, {"large/faces": "resized"}),
            *_rewired(mixer, taken),
        ],
        "both",
        [],
        list(mixer.output),
        list(mixer.initializer),
    )
    return branch


def _rewired(graph: onnx.GraphProto, renamed: dict[str, str]) -> list[onnx.NodeProto]:
    """The graph's nodes, taking values under other names."""
    nodes = list(graph.node)
    for node in nodes:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
    return nodes
