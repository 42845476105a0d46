"""What a picture says of itself, as Pillow reads it: EXIF, text chunks, XMP, its JPEG tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from PIL import ExifTags
from PIL import Image as Pillow


def upright_size(picture: Pillow.Image) -> tuple[int, int]:
    """Width and height once EXIF's turn is applied."""
    width, height = picture.size
    turned = _exif(picture).get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    return (height, width) if turned else (width, height)


def _exif(picture: Pillow.Image) -> Pillow.Exif | dict[int, Any]:
    try:
        return picture.getexif()
    except Exception:
        # hostile or broken EXIF raises whatever it likes; a picture without EXIF is still a picture
        return {}


def picture_tags(picture: Pillow.Image) -> dict[str, str]:
    """Each tag by its name in EXIF or in the file's text, and a few that are worked out here."""
    exif = _exif(picture)
    tags = {
        ExifTags.TAGS[key]: _words(value) for key, value in exif.items() if key in ExifTags.TAGS
    }
    with suppress(Exception):  # as in _exif
        inner = exif.get_ifd(ExifTags.IFD.Exif).items() if isinstance(exif, Pillow.Exif) else ()
        tags |= {ExifTags.TAGS[key]: _words(value) for key, value in inner if key in ExifTags.TAGS}
    with suppress(Exception):
        place = exif.get_ifd(ExifTags.IFD.GPSInfo) if isinstance(exif, Pillow.Exif) else {}
        tags["place"] = _place(place)
    tags |= {
        key: value
        for key, value in picture.info.items()
        if isinstance(key, str) and isinstance(value, str)
    }
    for key in ("xmp", "XML:com.adobe.xmp", "Raw profile type xmp"):
        if value := picture.info.get(key):
            tags["xmp"] = _words(value)
    with suppress(Exception):
        table = list(getattr(picture, "quantization", {})[0])
        tags["jpeg_quality"] = _jpeg_tables(table)
        if not picture.info.get("icc_profile") and exif.get(ExifTags.Base.Orientation, 1) == 1:
            # its blocks are those of the picture as shown
            tags["jpeg_luma"] = " ".join(map(str, table))
    return tags | {"format": picture.format or "", "stored_size": "{}×{}".format(*picture.size)}


def _place(gps: Mapping[int, Any]) -> str:
    """Latitude and longitude in degrees, south and west negative, as maps take them.

    Raises whatever a broken directory sets off.
    """

    def degrees(parts: Sequence[float], negative: bool) -> float:
        size = float(sum(float(part) / 60.0**power for power, part in enumerate(parts)))
        return -size if negative else size

    north, east = gps[ExifTags.GPS.GPSLatitude], gps[ExifTags.GPS.GPSLongitude]
    latitude = degrees(north, str(gps[ExifTags.GPS.GPSLatitudeRef]).upper() == "S")
    longitude = degrees(east, str(gps[ExifTags.GPS.GPSLongitudeRef]).upper() == "W")
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise ValueError("no place on Earth")
    return f"{latitude:.5f}, {longitude:.5f}"


def _words(value: object) -> str:
    """Text of a tag; bytes as UTF-8, and an EXIF comment by the code that it begins with."""
    if not isinstance(value, bytes):
        return str(value)
    code, rest = value[:8].rstrip(b"\0"), value[8:]
    if code == b"UNICODE":
        wide = "utf-16-be" if rest[:1] == b"\0" else "utf-16-le"
        return rest.decode(wide, "replace").strip("\0")
    return (rest if code == b"ASCII" else value).decode("utf-8", "replace").strip("\0")


def _jpeg_tables(table: Sequence[int]) -> str:
    """The quality of libjpeg whose table of luma this is, or `other`."""
    return str(_libjpeg_tables().get(tuple(sorted(table)), "other"))


@cache
def _libjpeg_tables() -> dict[tuple[int, ...], int]:
    """Each table of luma that libjpeg makes, its steps sorted, and the quality it is made for."""
    scales = {
        quality: 5000 // quality if quality < 50 else 200 - 2 * quality for quality in range(1, 101)
    }
    return {
        tuple(sorted(min(max((v * scale + 50) // 100, 1), 255) for v in _LUMA)): quality
        for quality, scale in scales.items()
    }


_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
"""The luma table of the JPEG standard (ITU-T T.81, table K.1)."""
