"""ONNX Runtime, which tells its makers nothing from here.

Its official builds send events to Microsoft unless told not to before they are loaded (the
package's Privacy.md). What people judge with this tool is nobody else's business, so all of the
project loads it through this module.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

_SWITCH = "ORT_DISABLE_TELEMETRY"  # read once, when the library is loaded

_before = os.environ.get(_SWITCH)
os.environ[_SWITCH] = "1"
try:
    import onnxruntime
finally:
    if _before is None:
        del os.environ[_SWITCH]
    else:
        os.environ[_SWITCH] = _before

__all__ = ["FLOAT_WEIGHTS", "onnxruntime", "open_session"]

FLOAT_WEIGHTS = {"session.disable_quant_qdq": "1"}
"""For models whose weights are stored in 8 bits: makes them floats once, not at every call."""

_EXACT_8_BITS = {"session.x64quantprecision": "1"}
"""Without VNNI instructions, products of unsigned by signed 8-bit numbers are added up in 16 bits
and saturate, and a network in 8 bits computes something else than where it was measured. There,
this makes both numbers unsigned, which is exact; elsewhere it changes nothing."""


def open_session(
    model: bytes | Path,
    *,
    threads: int = 0,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    config: Mapping[str, str] | None = None,
) -> onnxruntime.InferenceSession:
    """A session that computes the same on every processor.

    - model: a graph, or the file that holds it
    - threads: for one call; 0 for all cores
    - config: further entries of the session's configuration

    Raises whatever ONNX Runtime raises for a model that it cannot load; its errors share no base.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    for name, value in (_EXACT_8_BITS | dict(config or {})).items():
        options.add_session_config_entry(name, value)
    source = str(model) if isinstance(model, Path) else model
    return onnxruntime.InferenceSession(source, options, providers=list(providers))
