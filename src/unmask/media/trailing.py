"""What lies behind the end of a JPEG: nothing, further JPEGs, or the clip of a motion photo."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

SOI, EOI, SOS = b"\xff\xd8", b"\xff\xd9", b"\xff\xda"
CLIPS = (b"ftypmp42", b"ftypisom", b"ftypmp41", b"ftypqt  ", b"ftypiso", b"ftypavc1")
"""How the clips in motion photos begin, behind the four bytes of a length."""

PADDING = 16
"""Zeros that may lie between the pictures of raw motion JPEG."""


@dataclass(frozen=True, slots=True)
class Trailing:
    """What was found behind a picture.

    - more_pictures: a further JPEG begins where this one ends, and no index tells of it: raw motion
      JPEG
    - clip_at: where an MP4 begins, or None
    """

    more_pictures: bool
    clip_at: int | None


NOTHING = Trailing(more_pictures=False, clip_at=None)


def look_behind(path: Path) -> Trailing:
    """Look behind the end of the JPEG or HEIF picture in this file; other files have nothing."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[4:8] == b"ftyp":
            return Trailing(False, _clip(data, 12))
        if data[:2] != SOI:
            return NOTHING
        end, has_index = _end_of_jpeg(data)
        if end is None:
            return NOTHING
        behind = bytes(data[end : end + PADDING + 2]).lstrip(b"\0")
        return Trailing(behind.startswith(SOI) and not has_index, _clip(data, end))


def _clip(data: mmap.mmap, start: int) -> int | None:
    """Where the first MP4 from `start` on begins."""
    places = [place for mark in CLIPS if (place := data.find(mark, start)) >= 0]
    return min(places) - 4 if places else None


def _end_of_jpeg(data: mmap.mmap) -> tuple[int | None, bool]:
    """The byte behind the end marker, None for a JPEG that has none; and whether it has an index.

    Segments before the scan may hold anything, a thumbnail with markers of its own too, and are
    passed over by their lengths. Within scans 0xFF is followed by 0, so the next end marker is the
    right one. The index is that of several pictures in one file (CIPA DC-007).
    """
    place, has_index = 2, False
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place : place + 2]
        if marker == SOS:
            end = data.find(EOI, place)
            return (end + 2 if end >= 0 else None), has_index
        if marker == EOI:
            return place + 2, has_index
        has_index |= data[place + 4 : place + 8] == b"MPF\0"
        place += 2 + int.from_bytes(data[place + 2 : place + 4])
    return None, has_index
