"""Going on from a bundle: its graph's weights → a network that learns.

In the graph each batch norm was folded into the convolution before it. Here the convolution takes
the folded weights, its batch norm the folded bias; then, with the faces that are to be learnt from,
`recalibrate_batch_norm` gives every batch norm the statistics of what passes through it, and
changes its scale and shift so that the network computes what it did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unmask.errors import LabError


def unfold(network: nn.Module, path: Path) -> None:
    """Load the graph of the bundle at `path` into `network`, a `Network` with the linear head.

    Raises LabError where the graph is not of such a network.
    """
    import onnx
    from onnx import numpy_helper

    try:
        graph = onnx.load(path).graph
    except Exception as error:  # protobuf raises what it likes
        raise LabError(f"{path} cannot be read as a bundle: {error}") from error
    arrays = {
        part.name: torch.from_numpy(numpy_helper.to_array(part).copy())
        for part in graph.initializer
    }
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    ours = dict(_pairs(network))
    problem = f"{path} holds no graph of this backbone with a linear head and folded batch norms"
    if len(convolutions) != len(ours) + 1 or any(
        node.input[1] not in arrays for node in convolutions
    ):
        raise LabError(problem)
    *body, head = convolutions
    out: Any = network.head.out  # type: ignore[union-attr]
    with torch.no_grad():
        for (convolution, norm), node in zip(ours.items(), body, strict=True):
            weight, bias = _weight_and_bias(node, arrays)
            if weight.shape != convolution.weight.shape:
                raise LabError(problem)
            convolution.weight.copy_(weight)
            norm.weight.fill_(1.0)
            norm.bias.copy_(bias)
            norm.running_mean.zero_()
            norm.running_var.fill_(1.0 - norm.eps)
        weight, bias = _weight_and_bias(head, arrays)
        if weight.numel() != out.weight.numel():
            raise LabError(problem)
        out.weight.copy_(weight.reshape(out.weight.shape))
        out.bias.copy_(bias)


def _weight_and_bias(node: Any, arrays: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Of a convolution; where all biases are 0 the exporter leaves them out."""
    weight = arrays[node.input[1]]
    return weight, arrays[node.input[2]] if len(node.input) > 2 else torch.zeros(len(weight))


def average(graph: bytes, other: bytes, share: float) -> bytes:
    """`graph` with its weights moved by `share` of the way to those of `other`.

    - other: a bundle's graph of the same shape, whose batch norms are folded as its own are

    Between a network and the one it went on from the way is even, and what both know is kept better
    in between than at either end (Wortsman et al., Robust fine-tuning, CVPR 2022).

    Raises LabError where the graphs differ in more than their weights.
    """
    import onnx
    from onnx import numpy_helper

    models = [onnx.load_from_string(content) for content in (graph, other)]
    ours, theirs = ({part.name: part for part in model.graph.initializer} for model in models)
    pairs = zip(
        *([node for node in m.graph.node if node.op_type == "Conv"] for m in models), strict=False
    )
    counts = [sum(node.op_type == "Conv" for node in model.graph.node) for model in models]
    problem = "the two graphs are not of one network: their weights cannot be averaged"
    if counts[0] != counts[1]:
        raise LabError(problem)
    for mine, yours in pairs:
        if len(mine.input) != len(yours.input):
            raise LabError(problem)
        for name, other_name in zip(mine.input[1:], yours.input[1:], strict=True):
            a, b = numpy_helper.to_array(ours[name]), numpy_helper.to_array(theirs[other_name])
            if a.shape != b.shape:
                raise LabError(problem)
            mixed = ((1 - share) * a + share * b).astype(a.dtype)
            ours[name].CopyFrom(numpy_helper.from_array(mixed, name))
    return bytes(models[0].SerializeToString())


def recalibrate_batch_norm(network: nn.Module, faces: Tensor) -> None:
    """Give every batch norm the statistics of `faces` (N, 3, S, S), some hundred.

    What the network computes in evaluation mode stays the same.
    """

    def take(norm: Any, inputs: tuple[Tensor, ...]) -> None:
        passing = inputs[0].transpose(0, 1).flatten(1)  # (C, N·h·w)
        mean, variance = passing.mean(dim=1), passing.var(dim=1)
        before, after = torch.sqrt(norm.running_var + norm.eps), torch.sqrt(variance + norm.eps)
        norm.bias += norm.weight * (mean - norm.running_mean) / before
        norm.weight *= after / before
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)

    mode = network.training
    network.eval()
    hooks = [norm.register_forward_pre_hook(take) for _, norm in _pairs(network)]
    try:
        with torch.no_grad():
            network(faces)
    finally:
        for hook in hooks:
            hook.remove()
        network.train(mode)


def _pairs(network: nn.Module) -> Iterator[tuple[Any, Any]]:
    """Each convolution of the backbone and the batch norm behind it, in forward order."""
    before: Any = None
    for module in network.backbone.modules():  # type: ignore[union-attr]
        if isinstance(module, nn.Conv2d):
            before = module
        elif isinstance(module, nn.BatchNorm2d) and before is not None:
            yield before, module
            before = None
