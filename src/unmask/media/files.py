"""Which files there are, and what can be said of a file before it is decoded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

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


def find_media(path: Path) -> Iterator[Path]:
    """The file itself, or all pictures and videos below a folder, sorted by name.

    Hidden ones are left out.

    In a folder files are chosen by their suffix. Raises NothingToJudgeError for a folder without
    any.
    """
    if not path.is_dir():
        yield path
        return
    any_found = False
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if (
                not name.startswith(".")
                and Path(name).suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES
            ):
                any_found = True
                yield Path(folder) / name
    if not any_found:
        raise NothingToJudgeError(
            "the folder holds no picture or video (known by their suffixes, as .jpg or .mp4)"
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
