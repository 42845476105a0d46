"""ONNX Runtime, which tells its makers nothing from here.

Its official builds send events to Microsoft unless told not to before they are loaded (the package's Privacy.md). What
people judge with this tool is nobody else's business, so all of the project loads it through this module.
"""

from __future__ import annotations

import os

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

__all__ = ["onnxruntime"]
