"""HEIC and HEIF photographs, as phones write them, by libheif."""

from __future__ import annotations

from pathlib import Path

from PIL import ExifTags
from PIL import Image as Pillow

from unmask._internal.words import Words
from unmask.media.base import require_pixels
from unmask.media.broken import broken_as
from unmask.types import Part, Unseen

BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1"})
"""Of still pictures, at bytes 8 to 11; those of sequences (hevc, msf1) are videos."""

_BOXES = frozenset({b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"uuid", b"idat"})
"""Of the uppermost level, as cameras write them."""


def is_heif(path: Path) -> bool:
    """Whether the first bytes are those of a HEIF picture."""
    with path.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in BRANDS


def share_there(path: Path) -> float:
    """How much of the file is there, 0 to 1, by the lengths of its boxes.

    libheif fills tiles that are missing with the colour of nothing, and says no word.
    """
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length, kind = int.from_bytes(head[:4]), head[4:8]
            if kind not in _BOXES:
                break  # what phones append is no box
            if length == 1:
                length = int.from_bytes(head[8:16])
            if length == 0:  # up to the end of the file
                break
            if at + length > size:
                return size / (at + length)
            at += max(length, 8)
    return 1.0


def read_heif(path: Path, max_pixels: int) -> tuple[Pillow.Image, tuple[Unseen, ...]]:
    """The main picture of a HEIF file, and what else is in it.

    It is whole (put together from its tiles) and upright. Depth maps, gain maps and thumbnails are
    no pictures of their own, and are left out.

    Raises TooLargeError, UnknownFormatError.
    """
    import pi_heif  # takes a while to load

    with broken_as("a broken HEIF picture"):
        file = pi_heif.open_heif(path, convert_hdr_to_8bit=True)
        main = file[file.primary_index]
        width, height = main.size
    require_pixels(width, height, max_pixels)
    with broken_as("a broken HEIF picture"):
        picture = main.to_pillow()
        picture.format = "HEIF"
        _drop_orientation(picture)
    others = len(file) - 1
    if not others:
        return picture, ()
    note = Words(
        "only the main picture was judged; {others} more in the file were not looked at",
        others=others,
    )
    return picture, (Unseen(Part.PICTURES, others, note),)


def _drop_orientation(picture: Pillow.Image) -> None:
    """The picture is upright already: HEIF's own turn was applied, and EXIF's repeats it."""
    exif = picture.getexif()
    if ExifTags.Base.Orientation in exif:
        del exif[ExifTags.Base.Orientation]
        picture.info["exif"] = exif.tobytes()
