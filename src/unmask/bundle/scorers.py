"""What judges, by its name: a bundle, a part of another package, or a function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from unmask._internal.plugins import find_plugins, load_plugin
from unmask.bundle.function import is_function, load_function
from unmask.bundle.registry import shipped_bundles
from unmask.bundle.session import Scorer, load_bundle


def load_scorer(
    name: str, *, threads: int = 0, engine: str = "onnxruntime", device: str = "cpu"
) -> Scorer:
    """What judges: a bundle, or a detector that an installed package offers.

    - name: as `load_bundle` takes it, the name of an entry point in `unmask.detectors`, or
      `module:function`

    Raises BundleError, MissingExtraError, DeviceError or PluginError.
    """
    if name not in shipped_bundles() and not Path(name).exists():
        offered = find_plugins("unmask.detectors")
        if name in offered:
            make: Callable[[], Scorer] = load_plugin(offered[name])
            return make()
        if is_function(name):
            return load_function(name)
    return load_bundle(name, threads=threads, engine=engine, device=device)
