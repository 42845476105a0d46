"""Parts that other installed packages bring, by entry points."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from unmask.errors import PluginError


@cache
def find_plugins(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group by name, not loaded."""
    return {point.name: point for point in sorted(entry_points(group=group))}


def load_plugin(point: EntryPoint) -> Any:
    """What an entry point names.

    Raises PluginError that names the package, where it cannot be loaded.
    """
    try:
        return point.load()
    except Exception as error:
        package = point.dist.name if point.dist is not None else "an unknown package"
        raise PluginError(
            f"{point.name!r} ({point.group}) of {package} cannot be loaded:"
            f" {type(error).__name__}: {error}; update or uninstall {package}"
        ) from error


def load_plugins(group: str) -> dict[str, Any]:
    """All of a group, loaded, by name.

    Raises PluginError.
    """
    return {name: load_plugin(point) for name, point in find_plugins(group).items()}
