"""File → frames.

`open_media` decides by content, not by name, whether a file is a picture or a video.
"""

from __future__ import annotations

from unmask.media.base import DEFAULT_MAX_PIXELS, OpenMedia, choose_frames
from unmask.media.files import PassedOver, find_media
from unmask.media.h264 import through_h264
from unmask.media.open import open_media

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "OpenMedia",
    "PassedOver",
    "choose_frames",
    "find_media",
    "open_media",
    "through_h264",
]
