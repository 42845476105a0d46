"""Ways of breaking a file: what happens to files on disks, lines and in hands that mean harm.

Half of the ways know the file's structure (chunks of PNG and RIFF, boxes of MP4 and HEIF, segments
of JPEG, packets of MPEG streams) and break that; the others break bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Numbers that overflow something."""

CONTAINER_BOXES = frozenset(
    {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"iprp", b"ipco"}
)
"""Boxes that hold nothing but boxes."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file that says how long it is.

    - start, end: of the whole piece
    - length_at, length_bytes: where its length stands
    - order: of the bytes in numbers, "big" or "little"
    """

    start: int
    end: int
    length_at: int
    length_bytes: int
    order: str


def pieces(content: bytes) -> list[Piece]:
    """The pieces of a file whose structure is known; none of another."""
    if content.startswith(b"\x89PNG"):
        return _png_chunks(content)
    if content.startswith(b"RIFF"):
        return _riff_chunks(content, 12, len(content))
    if content.startswith(b"\xff\xd8"):
        return _jpeg_segments(content)
    if content[4:8] == b"ftyp":
        return _boxes(content, 0, len(content))
    if content[:1] == b"G" and content[188:189] == b"G":
        # of a transport stream's packet the length of the adaptation field
        starts = range(0, len(content) - 187, 188)
        return [Piece(at, at + 188, at + 4, 1, "big") for at in starts]
    return []


def _png_chunks(content: bytes) -> list[Piece]:
    found, at = [], 8
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4])
        found.append(Piece(at, min(end, len(content)), at, 4, "big"))
        at = end
    return found


def _riff_chunks(content: bytes, start: int, end: int) -> list[Piece]:
    found, at = [], start
    while at + 8 <= end:
        length = int.from_bytes(content[at + 4 : at + 8], "little")
        after = min(at + 8 + length + length % 2, end)
        found.append(Piece(at, after, at + 4, 4, "little"))
        if content[at : at + 4] == b"LIST":
            found += _riff_chunks(content, at + 12, after)
        at = max(after, at + 8)
    return found


def _jpeg_segments(content: bytes) -> list[Piece]:
    found, at = [], 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != 0xD9:
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4])
        found.append(Piece(at, min(end, len(content)), at + 2, 2, "big"))
        if content[at + 1] == 0xDA:  # the scan's data follow
            break
        at = end
    return found


def _boxes(content: bytes, start: int, end: int) -> list[Piece]:
    found, at = [], start
    while at + 8 <= end:
        length = int.from_bytes(content[at : at + 4]) or end - at
        after = min(at + max(length, 8), end)
        found.append(Piece(at, after, at, 4, "big"))
        kind = content[at + 4 : at + 8]
        if kind in CONTAINER_BOXES:
            found += _boxes(content, at + 8, after)
        elif kind == b"meta":
            found += _boxes(content, at + 12, after)
        at = after
    return found


def cut(content: bytes, random: Random, _: bytes) -> bytes:
    """The file ends too early."""
    return content[: random.randrange(len(content))]


def cut_near_the_end(content: bytes, random: Random, _: bytes) -> bytes:
    """The file lacks its last bytes."""
    return content[: -random.randint(1, max(1, len(content) // 10))]


def flip_bits(content: bytes, random: Random, _: bytes) -> bytes:
    """A few bits are wrong, anywhere."""
    return _flipped(content, random, len(content), random.randint(1, 16))


def flip_bits_of_the_header(content: bytes, random: Random, _: bytes) -> bytes:
    """A few bits of the first 512 bytes are wrong."""
    return _flipped(content, random, min(512, len(content)), random.randint(1, 4))


def extreme_number(content: bytes, random: Random, _: bytes) -> bytes:
    """One, two or four bytes hold a number that overflows something."""
    width = random.choice((1, 2, 4))
    reach = random.choice((256, 4096, len(content)))
    at = random.randrange(max(1, min(reach, len(content)) - width))
    return _with_number(content, at, width, random.choice(("big", "little")), random)


def wrong_length(content: bytes, random: Random, _: bytes) -> bytes:
    """A piece says that it is longer or shorter than it is."""
    known = pieces(content)
    if not known:
        return extreme_number(content, random, b"")
    piece = random.choice(known)
    return _with_number(content, piece.length_at, piece.length_bytes, piece.order, random)


def zeros(content: bytes, random: Random, _: bytes) -> bytes:
    """A stretch was never written."""
    start, end = _range(content, random)
    return content[:start] + bytes(end - start) + content[end:]


def lost_piece(content: bytes, random: Random, _: bytes) -> bytes:
    """A piece is missing."""
    start, end = _piece_or_range(content, random)
    return content[:start] + content[end:]


def doubled_piece(content: bytes, random: Random, _: bytes) -> bytes:
    """A piece stands there twice."""
    start, end = _piece_or_range(content, random)
    return content[:end] + content[start:end] + content[end:]


def swapped_pieces(content: bytes, random: Random, _: bytes) -> bytes:
    """Two pieces stand in each other's place."""
    (a, b), (c, d) = sorted(_piece_or_range(content, random) for _ in range(2))
    c = max(b, c)
    d = max(c, d)
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def something_inserted(content: bytes, random: Random, _: bytes) -> bytes:
    """Bytes that do not belong there push all others back."""
    at = random.randrange(len(content))
    return content[:at] + random.randbytes(random.randint(1, 64)) + content[at:]


def tail_of_another(content: bytes, random: Random, other: bytes) -> bytes:
    """The file goes on as another file."""
    return content[: random.randrange(len(content))] + other[random.randrange(len(other)) :]


Mutation = Callable[[bytes, Random, bytes], bytes]

MUTATIONS: Mapping[str, Mutation] = {
    mutation.__name__: mutation
    for mutation in (
        cut,
        cut_near_the_end,
        flip_bits,
        flip_bits_of_the_header,
        extreme_number,
        wrong_length,
        zeros,
        lost_piece,
        doubled_piece,
        swapped_pieces,
        something_inserted,
        tail_of_another,
    )
}
"""By name. Each takes the file, a source of chance, and another file."""


def _flipped(content: bytes, random: Random, reach: int, count: int) -> bytes:
    changed = bytearray(content)
    for _ in range(count):
        changed[random.randrange(reach)] ^= 1 << random.randrange(8)
    return bytes(changed)


def _with_number(content: bytes, at: int, width: int, order: str, random: Random) -> bytes:
    """The file with a number near what stood there, or an extreme one."""
    old = int.from_bytes(content[at : at + width], "big" if order == "big" else "little")
    new = random.choice((*EXTREMES, old - 1, old + 1, old // 2, old * 2)) % (1 << 8 * width)
    written = new.to_bytes(width, "big" if order == "big" else "little")
    return content[:at] + written + content[at + width :]


def _range(content: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(content))
    return start, min(len(content), start + random.choice((1, 16, 256, 4096)))


def _piece_or_range(content: bytes, random: Random) -> tuple[int, int]:
    known = pieces(content)
    if not known or random.random() < 0.25:
        return _range(content, random)
    piece = random.choice(known)
    return piece.start, piece.end
