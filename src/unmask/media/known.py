"""Formats that are known by their first bytes and cannot be read: refused in true words.

Without this, a decoder finds the small preview that many of them carry, and judges that.
"""

from __future__ import annotations

from pathlib import Path

from unmask.errors import UnknownFormatError

_RAW = (
    "a camera's raw file: what it shows is a small preview, and the picture itself must be"
    " developed first. Save it as JPEG or TIFF with the camera's program"
)
_JPEG_XL = "a JPEG XL picture, which cannot be read yet. Convert it to PNG or JPEG"

REFUSED: tuple[tuple[int, bytes, str], ...] = (
    (0, b"FUJIFILMCCD-RAW", _RAW),
    (0, b"IIRO", _RAW),  # Olympus
    (0, b"IIRS", _RAW),
    (0, b"MMOR", _RAW),
    (0, b"IIU\0", _RAW),  # Panasonic
    (8, b"CR\x02", _RAW),  # Canon, a TIFF by its first bytes
    (4, b"ftypcrx ", _RAW),  # Canon's newer ones, an MP4 by its structure
    (0, b"FOVb", _RAW),  # Sigma
    (0, b"\xff\x0a", _JPEG_XL),
    (4, b"JXL \r\n\x87\n", _JPEG_XL),
    (0, b"%PDF-", "a PDF document. Save the pictures in it as files of their own"),
    (0, b"8BPS", "a Photoshop document. Save it as PNG or TIFF"),
    (0, b"PK\x03\x04", "a ZIP archive or an office document: `unmask scan --ledger` looks into it"),
    (0, b"Rar!\x1a\x07", "a RAR archive. Unpack it first"),
    (0, b"7z\xbc\xaf'\x1c", "a 7-Zip archive. Unpack it first"),
)
"""Where the mark lies, the mark, and what the file is."""

LONGEST = max(place + len(mark) for place, mark, _ in REFUSED)

RAW_TAGS = frozenset({33421, 50706})
"""TIFF tags that only raw files have: the colour filter's pattern, and DNG's version."""


def refuse_known(path: Path) -> None:
    """Raises UnknownFormatError for a format that is known and cannot be read."""
    with path.open("rb") as file:
        head = file.read(LONGEST)
    for place, mark, what in REFUSED:
        if head[place : place + len(mark)] == mark:
            raise UnknownFormatError(what)


def refuse_raw_tiff(tags: frozenset[int], subfile_type: int) -> None:
    """Raises UnknownFormatError for a raw file in the guise of a TIFF.

    - tags: of its first page
    - subfile_type: of the first page; bit 0: it is a smaller version of another one
    """
    if tags & RAW_TAGS or subfile_type & 1:
        raise UnknownFormatError(_RAW)
