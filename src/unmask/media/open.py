"""Which kind of file it is: a picture or a video, decided by content, not by name."""

from __future__ import annotations

from pathlib import Path

from unmask.errors import MissingFileError, UnknownFormatError
from unmask.media.base import DEFAULT_MAX_PIXELS, OpenMedia
from unmask.media.files import file_sha256
from unmask.media.image import open_image
from unmask.media.known import refuse_known
from unmask.media.trailing import look_behind


def open_media(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS, threads: int = 0) -> OpenMedia:
    """Open a picture or a video, whichever the content is.

    - threads: for decoding a video, 0 for all cores; where many files are worked on side by side,
      one each takes a seventh less work (its frames are not handed around)

    Raises a MediaError: missing, unreadable, empty, of no known format, without video, or too
    large.
    """
    sha256 = file_sha256(path)
    try:
        refuse_known(path)
        behind = look_behind(path)
        image = None if behind.more_pictures else open_image(path, sha256, max_pixels, behind)
        if image is not None:
            return image
        # PyAV takes a while to load, and a picture does not need it
        from unmask.media.video import Video

        demuxer = "mjpeg" if behind.more_pictures else None
        return Video(path, sha256, max_pixels, threads, demuxer)
    except (FileNotFoundError, UnknownFormatError) as error:
        if path.exists():
            raise
        # it was there a moment ago: moved, or the disk it lies on is gone
        raise MissingFileError("the file went away while it was read") from error
