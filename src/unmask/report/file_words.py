"""What a file says of itself, in a reader's order: where, when, with what, its format last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath

from unmask._internal.text import on_one_line
from unmask._internal.words import Words
from unmask.report.language import say

NAMES: Mapping[str, str] = {
    "place": Words("Place (latitude, longitude)"),
    "taken": Words("Taken"),
    "created": Words("Saved"),
    "camera": Words("Camera"),
    "maker": Words("Maker"),
    "lens": Words("Lens"),
    "exposure": Words("Exposure"),
    "created_with": Words("Created with"),
    "edited_with": Words("Edited with"),
    "software": Words("Software"),
    "generator": Words("Settings of a generator"),
    "digital_source_type": Words("Digital source type"),
    "credit": Words("Credit"),
    "comment": Words("Comment"),
}
"""What a report shows, in its order; what is not named here follows."""

CONTAINERS: Mapping[str, str] = {
    "mov,mp4,m4a,3gp,3g2,mj2": "MP4",
    "matroska,webm": "Matroska",
    "mpegts": "MPEG transport stream",
    "mpeg": "MPEG program stream",
    "avi": "AVI",
    "flv": "Flash video",
    "asf": "Windows Media",
    "ogg": "Ogg",
    "mxf": "MXF",
    "yuv4mpegpipe": "YUV4MPEG",
    "mjpeg": "Motion JPEG",
    "JPEG2000": "JPEG 2000",
    "MPO": "JPEG (several pictures)",
    "HEIF": "HEIF",
}
"""FFmpeg's and Pillow's names of containers, as people know them."""

SUFFIXES: Mapping[str, str] = {
    ".mov": "QuickTime",
    ".3gp": "3GP",
    ".m4v": "M4V",
    ".webm": "WebM",
    ".mkv": "Matroska (MKV)",
    ".wmv": "Windows Media (WMV)",
    ".heic": "HEIC",
}
"""Of several kinds that share one container, the one that the file's name says."""

CODECS: Mapping[str, str] = {
    "h264": "H.264",
    "hevc": "H.265",
    "av1": "AV1",
    "vp8": "VP8",
    "vp9": "VP9",
    "mpeg4": "MPEG-4",
    "mpeg2video": "MPEG-2",
    "mpeg1video": "MPEG-1",
    "mjpeg": "Motion JPEG",
    "prores": "ProRes",
    "wmv2": "WMV 8",
    "theora": "Theora",
    "rawvideo": "uncompressed",
}


def file_words(said: Mapping[str, str], path: str) -> Iterator[tuple[str, str]]:
    """Rows of a table: what is said, in words, and what it is."""
    for name in (*NAMES, *(other for other in said if other not in NAMES)):
        if name in said and name not in ("format", "codec"):
            yield _name(name), on_one_line(said[name])
    if found := format_words(said, path):
        yield say("Format"), found


def _name(key: str) -> str:
    return say(NAMES[key]) if key in NAMES else key.replace("_", " ").capitalize()


def format_words(said: Mapping[str, str], path: str) -> str:
    """The container and its codec: "MP4 (H.264)"."""
    container = on_one_line(said.get("format", ""))
    suffix = PurePath(path).suffix.lower()
    shared = container in ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "asf", "HEIF")
    words = SUFFIXES.get(suffix, "") if shared else ""
    words = words or CONTAINERS.get(container, container)
    codec = on_one_line(said.get("codec", ""))
    return f"{words} ({CODECS.get(codec, codec)})" if codec else words
