"""A network of torch as an ONNX graph."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch

from unmask.errors import LabError


def exported(network: torch.nn.Module, example: torch.Tensor, outputs: Sequence[str]) -> bytes:
    """The graph: `faces`, as many as one likes, to the named outputs.

    - example: two faces, as the network takes them

    Raises LabError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            network.eval(),
            (example,),
            input_names=["faces"],
            output_names=list(outputs),
            dynamic_shapes=({0: torch.export.Dim("N", min=1, max=4096)},),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise LabError("torch.onnx.export gave nothing")
    model = program.model_proto
    # the exporter writes stack traces, with the paths of this machine, onto every node
    for part in (
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
        model.graph,
        model,
    ):
        del part.metadata_props[:]
        part.doc_string = ""
    return bytes(model.SerializeToString())
