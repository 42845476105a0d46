"""Who encoded a file, and whether it was encoded before."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from unmask._internal.words import Words
from unmask.provenance.base import FileUnderCheck
from unmask.provenance.tags import plain
from unmask.types import Provenance

SEARCHED_BYTES = 1_000_000
"""Of the beginning of a video, for what encoders write into their streams."""

_X264 = re.compile(rb"x264 - core (\d+)[^\x00]{0,2000}?(?:crf=([\d.]+)|bitrate=(\d+))")
_X265 = re.compile(rb"x265 \(build (\d+)\)")
_REMUXED = re.compile(
    r"Lavf|HandBrake|MediaCoder|Wondershare|CapCut|Premiere|DaVinci|iMovie|InShot|VideoToolbox",
    re.I,
)


def check_encoder(file: FileUnderCheck) -> Provenance:
    """Who encoded the file.

    Traces by their codes: `encoder`, `written_by`, `saved_by`, `credentials_elsewhere`,
    `size_differs`.
    """
    has_codec = bool(file.tags.get("codec"))
    traces = _video(file.path, file.tags) if has_codec else _picture(file.tags)
    return Provenance(traces=dict(traces))


def _video(path: Path, tags: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    with path.open("rb") as file:
        head = file.read(SEARCHED_BYTES)
    if match := _X264.search(head):
        quality = f"crf {match[2].decode()}" if match[2] else f"{match[3].decode()} kbit/s"
        yield (
            "encoder",
            Words(
                "encoded with x264 (core {core}, {quality}): typical of editing software and"
                " social networks, not of a camera",
                core=match[1].decode(),
                quality=quality,
            ),
        )
    elif match := _X265.search(head):
        yield (
            "encoder",
            Words(
                "encoded with x265 (build {build}): typical of editing software and social"
                " networks, not of a camera",
                build=match[1].decode(),
            ),
        )
    writer = tags.get("encoder", "") or tags.get("software", "")
    if _REMUXED.search(writer):
        yield (
            "written_by",
            Words(
                "written by {writer}: copied, converted or edited after it was recorded",
                writer=plain(writer, 80),
            ),
        )


def _picture(tags: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if quality := tags.get("jpeg_quality"):
        if quality == "other":
            words = Words("saved as JPEG with tables of another program's own making")
        else:
            words = Words(
                "saved as JPEG with tables of libjpeg's quality {quality}", quality=quality
            )
        yield "saved_by", words
    link = re.search(r"dcterms:provenance(?:=\"|>)([^\"<]{1,300})", tags.get("xmp", ""))
    if link:
        yield (
            "credentials_elsewhere",
            Words("says that its credentials lie at {place}; not fetched", place=plain(link[1])),
        )
    width, height = tags.get("ExifImageWidth", ""), tags.get("ExifImageHeight", "")
    size = tags.get("stored_size", "")
    if (
        width.isdigit()
        and height.isdigit()
        and size
        and size not in (f"{width}×{height}", f"{height}×{width}")
    ):
        yield (
            "size_differs",
            Words(
                "was {width}×{height} pixels by its tags, but has {size}: made smaller, or cut",
                width=width,
                height=height,
                size=size,
            ),
        )
