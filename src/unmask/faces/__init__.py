"""Frame → faces → crops: finders behind one protocol, alignment, embeddings."""

from __future__ import annotations

from unmask.faces.base import MAX_FACES, FaceFinder
from unmask.faces.registry import FINDERS, load_finder
from unmask.faces.search import find_close_up, find_main_face

__all__ = [
    "FINDERS",
    "MAX_FACES",
    "FaceFinder",
    "find_close_up",
    "find_main_face",
    "load_finder",
]
