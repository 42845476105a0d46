"""What a provenance check is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from unmask.types import Image, Provenance


@dataclass(frozen=True, slots=True, eq=False)
class FileUnderCheck:
    """What checks look at, of pictures and videos alike.

    - path: the file, for checks that read its bytes
    - tags: what it says of itself, as `OpenMedia.tags`
    - is_video: whether it has several frames
    - image: a frame, (height, width, 3) uint8 RGB: a picture's only one, or a video's first one
      that is looked at
    """

    path: Path
    tags: Mapping[str, str]
    is_video: bool
    image: Image


Check = Callable[[FileUnderCheck], Provenance]
"""Looks at one side of a file, and returns what it found: nothing is an empty Provenance.

Raises nothing for what is broken in the file: that, too, is a finding. Packages offer checks by
entry points in the group `unmask.checks` (docs/extending.md).
"""
