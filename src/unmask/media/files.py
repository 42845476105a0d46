"""Which files there are, and what can be said of a file before it is decoded."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from unmask.errors import EmptyFileError, MissingFileError, NothingToJudgeError, UnreadableFileError

IMAGE_SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".mpo",
        ".png",
        ".apng",
        ".webp",
        ".gif",
        ".bmp",
        ".dib",
        ".tif",
        ".tiff",
        ".avif",
        ".avifs",
        ".heic",
        ".heif",
        ".hif",
        ".jp2",
        ".jxl",
        ".dng",
        ".ppm",
        ".pgm",
        ".pnm",
    ]
)
VIDEO_SUFFIXES = frozenset(
    [
        ".mp4",
        ".m4v",
        ".mov",
        ".qt",
        ".3gp",
        ".3g2",
        ".mkv",
        ".webm",
        ".avi",
        ".mpg",
        ".mpeg",
        ".m2v",
        ".ts",
        ".mts",
        ".m2ts",
        ".vob",
        ".wmv",
        ".asf",
        ".flv",
        ".f4v",
        ".ogv",
        ".y4m",
        ".mjpeg",
        ".mjpg",
        ".mxf",
    ]
)


MOST_KINDS = 8
"""Kinds of passed-over files that are named at most."""

BEGINNINGS: tuple[tuple[int, bytes], ...] = (
    (0, b"\xff\xd8\xff"),  # JPEG
    (0, b"\x89PNG\r\n\x1a\n"),
    (0, b"GIF8"),
    (8, b"WEBP"),
    (8, b"AVI "),
    (0, b"II*\0"),  # TIFF
    (0, b"MM\0*"),
    (4, b"ftyp"),  # MP4, MOV, HEIF, AVIF
    (4, b"moov"),
    (0, b"\x1a\x45\xdf\xa3"),  # Matroska, WebM
    (0, b"OggS"),
    (0, b"FLV\x01"),
    (0, b"\0\0\x01\xba"),  # MPEG programme stream
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),  # ASF, WMV
    (0, b"\0\0\0\x0cjP  "),  # JPEG 2000
    (0, b"\0\0\0\x0cJXL "),
    (0, b"YUV4MPEG2"),
    (0, b"DKIF"),  # IVF
)
"""How pictures and videos begin: the place and the bytes."""

LONGEST_BEGINNING = 512


class PassedOver:
    """Files that were passed over because they are no pictures or videos, counted by kind."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, name: str) -> None:
        """Count a file of this name."""
        suffix = PurePosixPath(name).suffix.lower()
        kind = "hidden" if name.startswith(".") else suffix or "without a suffix"
        self._counts[kind] += 1

    def update(self, others: PassedOver) -> None:
        """Count what others have counted, too."""
        self._counts.update(others._counts)

    def counts(self) -> dict[str, int]:
        """How many of each kind, the most frequent first."""
        return dict(self._counts.most_common())

    def words(self) -> str:
        """The same in a line; empty where nothing was passed over."""
        counts = self.counts()
        if not counts:
            return ""
        shown = [f"{count:,} {kind}" for kind, count in counts.items()]
        more = f", {len(shown) - MOST_KINDS} more kinds" if len(shown) > MOST_KINDS else ""
        total = sum(counts.values())
        files = "1 file was" if total == 1 else f"{total:,} files were"
        return (
            f"{files} passed over, being neither pictures nor videos:"
            f" {', '.join(shown[:MOST_KINDS])}{more}"
        )


def find_media(path: Path, passed_over: PassedOver | None = None) -> Iterator[Path]:
    """The file itself, or all pictures and videos below a folder, sorted by name.

    In a folder files are chosen by their suffix, and those without a known one by their first
    bytes. Hidden ones are left out.

    - passed_over: counts what is no picture or video

    Raises NothingToJudgeError for a folder without any.
    """
    if not path.is_dir():
        yield path
        return
    passed_over = passed_over if passed_over is not None else PassedOver()
    any_found = False
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(folder) / name
            if name.startswith(".") or not (is_media(name) or begins_like_media(file)):
                passed_over.add(name)
                continue
            any_found = True
            yield file
    if not any_found:
        words = passed_over.words()
        raise NothingToJudgeError(
            "the folder holds no picture or video" + (f"; {words}" if words else "")
        )


def is_media(name: str) -> bool:
    """Whether the suffix is one of a picture or a video."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES


def begins_like_media(path: Path) -> bool:
    """Whether the first bytes are those of a picture or a video.

    False where they cannot be read.
    """
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            head = file.read(LONGEST_BEGINNING)
    except OSError:
        return False
    transport_stream = all(head[place : place + 1] == b"G" for place in (0, 188, 376))
    return transport_stream or any(
        head[place : place + len(mark)] == mark for place, mark in BEGINNINGS
    )


def file_sha256(path: Path) -> str:
    """The sha-256 of the file, in hexadecimal.

    Raises MissingFileError, EmptyFileError or UnreadableFileError.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise UnreadableFileError("not a regular file")
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise EmptyFileError("the file is empty (0 bytes)")
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise MissingFileError("there is no such file") from error
    except OSError as error:
        raise UnreadableFileError(f"cannot be read: {error.strerror or error}") from error
