"""GIFs that are interrupted by something else, which Pillow passes over without a word."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

EXTENSION, IMAGE, TRAILER = b"!", b",", b";"


def is_interrupted(path: Path) -> bool:
    """Whether something that is no block follows on a block (GIF89a, section 12 and appendix A).

    A missing trailer and zeros between blocks are what some programs leave; they hide nothing. What
    ends too early is found by decoding it.
    """
    with path.open("rb") as file:
        header = file.read(13)  # signature, size of the screen, how large its palette is
        _skip_palette(file, header[10])
        while (kind := file.read(1)) and kind != TRAILER:
            if kind == b"\0":
                continue
            if kind == EXTENSION:
                file.seek(1, 1)  # its label
            elif kind == IMAGE:
                descriptor = file.read(9)
                _skip_palette(file, descriptor[-1] if len(descriptor) == 9 else 0)
                file.seek(1, 1)  # the width of its codes
            else:
                return True
            _skip_data(file)
    return False


def _skip_palette(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 * 2 ** ((flags & 7) + 1), 1)


def _skip_data(file: BinaryIO) -> None:
    """Pass over blocks of data up to the empty one behind them, or to the end of the file."""
    while (size := file.read(1)) and size != b"\0":
        file.seek(size[0], 1)
