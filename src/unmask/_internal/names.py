"""Names of files and folders, on Linux, macOS and Windows alike."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote

LONGEST_NAME = 180
"""In bytes; file systems take 255, and an ending is still to come."""


def portable_name(path: str) -> str:
    """The last part of a path or address, as a name that every system takes.

    Windows allows none of `< > : " | ? *` and no control characters; elsewhere a slash is what
    parts folders. Each becomes an underscore.
    """
    name = re.sub(r'[<>:"|?*\\/\x00-\x1f]', "_", Path(path).name) or "_"
    while len(os.fsencode(name)) > LONGEST_NAME:
        name = name[1:]  # the end tells more: it has the kind, and often a number
    return name


def folder_and_prefix(folder: str) -> tuple[str, str]:
    """A folder without its last separator, and what the paths of its own folders begin with.

    Addresses part their folders by slashes everywhere, this machine's paths as it does.
    """
    separator = "/" if "://" in folder else os.sep
    folder = folder.rstrip(separator)
    return folder, folder + separator


def link_to(path: str | Path, folder: Path) -> str:
    """A link from a page in `folder` to a file of this machine."""
    try:
        way = os.path.relpath(path, folder)
    except ValueError:  # on another of Windows' drives: there is no way
        return Path(path).absolute().as_uri()
    return quote(way.replace(os.sep, "/"))
