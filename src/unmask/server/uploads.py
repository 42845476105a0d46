"""Uploaded files: in memory or in a nameless file, and gone as soon as they are closed."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

IN_MEMORY = 1_000_000
"""Uploads up to this size never reach a disk. Larger ones lie in a file that has no name from the
start."""


class Upload:
    """A file that was sent, as a path that worker processes can open until it is closed.

    On Linux that path leads to a descriptor of this process, so nothing is left when it ends,
    however it ends. Elsewhere it is a file in a folder that nobody else may enter, removed when it
    is closed.
    """

    def __init__(self, source: BinaryIO, size: int) -> None:
        self.size = size
        self._folder: str | None = None
        self._descriptor: int | None = None
        source.seek(0)
        if sys.platform != "linux":
            self._folder = tempfile.mkdtemp(prefix="unmask-")
            self.path = str(Path(self._folder) / "upload")
            with open(self.path, "wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
            return
        if size <= IN_MEMORY:
            self._descriptor = os.memfd_create("upload")
            with open(self._descriptor, "wb", closefd=False) as file:
                shutil.copyfileobj(source, file)
        else:
            self._descriptor = os.dup(source.fileno())  # of a temporary file without a name
        self.path = f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def close(self) -> None:
        """Delete the upload."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._folder is not None:
            with suppress(OSError):
                shutil.rmtree(self._folder)
            self._folder = None
