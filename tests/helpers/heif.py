"""HEIC files by hand: pictures in HEVC by PyAV, wrapped as phones wrap them (ISO/IEC 23008-12)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np


def box(name: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return (8 + len(content)).to_bytes(4) + name + content


def full_box(name: bytes, version: int, *parts: bytes, flags: int = 0) -> bytes:
    return box(name, bytes([version]) + flags.to_bytes(3), *parts)


def u16(*values: int) -> bytes:
    return b"".join(value.to_bytes(2) for value in values)


def u32(*values: int) -> bytes:
    return b"".join(value.to_bytes(4) for value in values)


def hevc(image: np.ndarray) -> tuple[bytes, bytes]:
    """The picture's parameter sets (a box hvcC), and the picture itself."""
    codec: Any = av.codec.CodecContext.create("libx265", "w")
    codec.height, codec.width = image.shape[:2]
    codec.pix_fmt, codec.time_base, codec.framerate = "yuv420p", Fraction(1, 25), Fraction(25, 1)
    codec.options = {"x265-params": "log-level=none"}
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
    frame.pts = 0
    stream = b"".join(bytes(packet) for packet in (*codec.encode(frame), *codec.encode(None)))
    units = [unit for unit in stream.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]
    by_kind = {unit[0] >> 1: unit for unit in units}
    # ISO/IEC 14496-15, 8.3.3: version, profile and level as the sequence says them, constants of
    # 4:2:0 in 8 bits, then the parameter sets: video 32, sequence 33, picture 34
    record = b"\1" + by_kind[33][3:15] + bytes([0xF0, 0, 0xFC, 0xFD, 0xF8, 0xF8, 0, 0, 0x0F, 3])
    for kind in (32, 33, 34):
        record += bytes([0x80 | kind]) + u16(1, len(by_kind[kind])) + by_kind[kind]
    coded = [unit for unit in units if unit[0] >> 1 < 32]
    return box(b"hvcC", record), b"".join(u32(len(unit)) + unit for unit in coded)


def write_heic(
    path: Path,
    tiles: Sequence[np.ndarray],
    *,
    columns: int = 0,
    turns: int = 0,
    mirrored: bool = False,
    behind: bytes = b"",
) -> Path:
    """A HEIC file.

    - tiles: RGB pictures of one size; several pictures, or the tiles of one if `columns` is given
    - turns: quarters by which a reader turns the main picture to the left
    - mirrored: whether a reader exchanges left and right
    - behind: what follows the file, as the clip of a motion photo
    """
    coded = [hevc(tile) for tile in tiles]
    height, width = tiles[0].shape[:2]
    grid_id = len(tiles) + 1
    rows = len(tiles) // columns if columns else 1
    main_id = grid_id if columns else 1

    # What the items are like: 1 coding, 2 size of a tile, 3 size of the grid, 4 turn, 5 mirror.
    whole = u32(width * max(columns, 1), height * rows)
    properties = [
        coded[0][0],
        full_box(b"ispe", 0, u32(width, height)),
        full_box(b"ispe", 0, whole),
        box(b"irot", bytes([turns])),
        box(b"imir", bytes([1])),
    ]
    shown = [4] * bool(turns) + [5] * mirrored
    of_items = {number: [1, 2] for number in range(1, len(tiles) + 1)}
    if columns:
        of_items[grid_id] = [3]
    of_items[main_id] += shown
    associations = b"".join(
        u16(item) + bytes([len(numbers), *numbers]) for item, numbers in of_items.items()
    )

    def info(item: int, kind: bytes, hidden: bool) -> bytes:
        return full_box(b"infe", 2, u16(item, 0), kind, b"\0", flags=int(hidden))

    infos = [info(n, b"hvc1", bool(columns)) for n in range(1, len(tiles) + 1)]
    references, described = b"", b""
    if columns:
        infos.append(info(grid_id, b"grid", False))
        described = bytes([0, 0, rows - 1, columns - 1]) + u16(width * columns, height * rows)
        parts = box(b"dimg", u16(grid_id, len(tiles), *range(1, len(tiles) + 1)))
        references = full_box(b"iref", 0, parts)

    def meta(first_byte: int) -> bytes:
        places, at = b"", first_byte
        for number, (_, content) in enumerate(coded, start=1):
            places += u16(number, 0, 0, 1) + u32(at, len(content))
            at += len(content)
        if columns:
            places += u16(grid_id, 1, 0, 1) + u32(0, len(described))
        return full_box(
            b"meta",
            0,
            full_box(b"hdlr", 0, u32(0), b"pict", bytes(13)),
            full_box(b"pitm", 0, u16(main_id)),
            full_box(b"iloc", 1, bytes([0x44, 0]), u16(len(of_items)), places),
            full_box(b"iinf", 0, u16(len(infos)), *infos),
            references,
            box(
                b"iprp",
                box(b"ipco", *properties),
                full_box(b"ipma", 0, u32(len(of_items)), associations),
            ),
            box(b"idat", described) if described else b"",
        )

    head = box(b"ftyp", b"heic", u32(0), b"mif1heic")
    content = b"".join(data for _, data in coded)
    start = len(head) + len(meta(0)) + 8
    path.write_bytes(head + meta(start) + box(b"mdat", content) + behind)
    return path
