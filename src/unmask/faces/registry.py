"""The face finders by name, those of other packages included."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from unmask._internal.plugins import find_plugins, load_plugin
from unmask.errors import FinderError
from unmask.faces.base import FaceFinder
from unmask.faces.dlib import Dlib
from unmask.faces.mtcnn import Mtcnn
from unmask.faces.yunet import YuNet

FINDERS: dict[str, Callable[[], FaceFinder]] = {"yunet": YuNet, "mtcnn": Mtcnn, "dlib": Dlib}
"""The finders by name. `yunet=FILE` names one's own YuNet model."""


def load_finder(name: str) -> FaceFinder:
    """The finder called `name` (`yunet`, `mtcnn`, `dlib` or `yunet=FILE`).

    Raises FinderError for an unknown name, MissingExtraError where its library is not installed.
    """
    if name.startswith("yunet="):
        return YuNet(Path(name.removeprefix("yunet=")))
    if name in FINDERS:
        return FINDERS[name]()
    offered = find_plugins("unmask.finders")
    if name in offered:
        make: Callable[[], FaceFinder] = load_plugin(offered[name])
        return make()
    known = ", ".join([*FINDERS, *offered])
    raise FinderError(f"there is no face finder {name!r}; the finders are {known} and yunet=FILE")


@cache
def shared_finder(name: str) -> FaceFinder:
    """As `load_finder`, but one for the whole process, for work that is done face by face."""
    return load_finder(name)
