"""Decoders that write to stderr of their own accord are made silent.

Their lines ("LZWDecode: Not enough data at scanline 136") do not name the file. What is wrong with
it stands in its report or error.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from functools import cache
from pathlib import Path

import PIL


@cache
def silence_libtiff() -> None:
    """Take the error handler from the libtiff that comes with Pillow; from another, nothing."""
    packages = Path(PIL.__file__).parents[1]
    # in wheels for Linux, and for macOS
    for library in (*packages.glob("pillow.libs/libtiff*"), *packages.glob("PIL/.dylibs/libtiff*")):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(str(library)).TIFFSetErrorHandler(None)
