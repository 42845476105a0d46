"""Videos on the pages of platforms, by yt-dlp, which is an extra of its own: `unmask[links]`.

yt-dlp asks the platform's own servers in the way that its page does, and what it may fetch there is
between its user and the platform. It follows links without the checks of `unmask.media.links`, so
the server never uses it.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from unmask._internal.text import on_one_line
from unmask.errors import LinkError

ADVICE = "For pages of platforms, install yt-dlp: the extra `links`"
"""What to do about a page that is no file."""


def can_fetch() -> bool:
    """Whether yt-dlp is installed."""
    return find_spec("yt_dlp") is not None


def fetch(url: str, folder: Path, most_bytes: int) -> tuple[Path, str]:
    """The first video of a page, and the page's own address. Raises LinkError."""
    import yt_dlp

    options: Any = {
        "outtmpl": str(folder / "%(title).80B-%(id).40B.%(ext)s"),
        "format": "best[height<=1080]/best",  # one file with picture and sound: no joining
        "max_filesize": most_bytes,
        "noplaylist": True,
        "playlist_items": "1",
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "cachedir": False,
        "socket_timeout": 30,
        "logger": _Silent(),
    }
    try:
        with yt_dlp.YoutubeDL(options) as downloader:
            found: Any = downloader.extract_info(url, download=True)
    except yt_dlp.utils.DownloadError as error:
        words = on_one_line(str(error.msg)).removeprefix("ERROR: ")
        raise LinkError(f"yt-dlp cannot fetch a video from this page: {words}") from error
    found = next(iter(found.get("entries") or [found]))
    path = next(
        (
            Path(one["filepath"])
            for one in found.get("requested_downloads") or ()
            if "filepath" in one
        ),
        None,
    )
    if path is None or not path.is_file():
        raise LinkError("yt-dlp found no video on this page that is small enough")
    return path, str(found.get("webpage_url") or url)


class _Silent:
    """What yt-dlp says is in its errors."""

    def debug(self, message: str) -> None:
        """Say nothing."""

    warning = error = debug
