"""Brings a file here, whole, and notices if it changes meanwhile."""

from __future__ import annotations

import errno
import os
import shutil
import tarfile
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import IO, Any, Self

from unmask.archive.model import Task, split
from unmask.archive.sources import filesystem, open_bytes, reason, stamp_of
from unmask.errors import (
    ChangedFileError,
    MediaError,
    MissingFileError,
    OutputError,
    UnknownFormatError,
    UnreachableError,
    UnreadableFileError,
)
from unmask.media.files import file_sha256

ATTEMPTS, PAUSE_S = 4, 0.5
"""How often a remote file is asked for, and the pause before the second time, which doubles:
storages throttle."""

OPEN_ARCHIVES = 4
"""Archives kept open at a time."""

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(slots=True)
class Fetched:
    """A file at hand.

    - path: where
    - stamp: of the local original, to tell whether it changes
    - fetch_s: what it took
    """

    task: Task
    path: str
    sha256: str
    stamp: str | None
    fetch_s: float
    spooled: bool

    def check(self, digest: str) -> None:
        """Raises ChangedFileError where the file is not the one that was fetched."""
        changed = digest != self.sha256
        if self.stamp is not None and not changed:
            try:
                changed = stamp_of(self.path) != self.stamp
            except OSError:
                changed = True
        if changed:
            raise ChangedFileError(
                "the file changed while it was being judged; it will be judged again next time"
            )

    def discard(self) -> None:
        """Delete the copy, if it is one."""
        if self.spooled:
            with suppress(OSError):
                os.unlink(self.path)


class Fetcher:
    """Fetches one file at a time.

    spool: folder, made when it is needed, for what is no file of this machine.
    """

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._archives: OrderedDict[tuple[str, str], tuple[Any, IO[bytes]]] = OrderedDict()
        self._count = 0

    def close(self) -> None:
        """Close the archives."""
        for handles in self._archives.values():
            for handle in handles:
                handle.close()
        self._archives.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fetch(self, task: Task) -> Fetched:
        """Raises a MediaError where it cannot be had, OutputError where there is no room for it."""
        started = perf_counter()
        inside = split(task.path)
        if inside is None and "://" not in task.path:
            try:
                stamp = stamp_of(task.path)
            except OSError:
                stamp = ""  # fingerprint says why
            digest = file_sha256(Path(task.path))
            return Fetched(task, task.path, digest, stamp, perf_counter() - started, spooled=False)
        self._count += 1
        self._spool.mkdir(exist_ok=True)
        target = self._spool / f"{os.getpid()}-{self._count}"
        try:
            if inside is None:
                self._download(task, target)
            else:
                self._extract(*inside, target)
            digest = file_sha256(target)
        except BaseException as error:
            target.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in NO_SPACE:
                raise OutputError(f"no room in {self._spool} for {task.path}") from error
            raise
        return Fetched(task, str(target), digest, None, perf_counter() - started, spooled=True)

    def _download(self, task: Task, target: Path) -> None:
        fs, path = filesystem(task.path)
        pause = PAUSE_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                fs.get_file(path, str(target))
                size = target.stat().st_size
                if task.size is not None and size != task.size:
                    raise UnreachableError(
                        f"{size} bytes arrived of the {task.size} that were listed"
                    )
                return
            except FileNotFoundError as error:
                raise MissingFileError("there is no such file") from error
            except PermissionError as error:
                raise UnreadableFileError(f"cannot be read: {reason(error)}") from error
            except Exception as error:  # each kind of storage has errors of its own
                if isinstance(error, OSError) and error.errno in NO_SPACE:
                    raise
                if attempt == ATTEMPTS:
                    if isinstance(error, MediaError):
                        raise
                    raise UnreachableError(
                        f"cannot be fetched (tried {ATTEMPTS} times): {reason(error)}"
                    ) from error
            time.sleep(pause)
            pause *= 2

    def _extract(self, kind: str, member: str, container: str, target: Path) -> None:
        try:
            archive = self._archive(kind, container)
            with _member(archive, member) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
        except (KeyError, FileNotFoundError) as error:
            raise MissingFileError(
                "the archive no longer has this member, or is gone itself"
            ) from error
        except (RuntimeError, zipfile.BadZipFile, tarfile.TarError, EOFError, ValueError) as error:
            raise UnknownFormatError(
                f"the member cannot be taken out of the archive: {reason(error)}"
            ) from error
        except OSError as error:
            if error.errno in NO_SPACE:
                raise
            raise UnreachableError(f"the archive cannot be read: {reason(error)}") from error

    def _archive(self, kind: str, container: str) -> Any:
        """The archive, opened; it stays open for the next member."""
        key = container, "" if "://" in container else stamp_of(container)
        if key not in self._archives:
            file = open_bytes(container)
            opener: Callable[[IO[bytes]], Any] = zipfile.ZipFile if kind == "zip" else _open_tar
            try:
                self._archives[key] = opener(file), file
            except BaseException:
                file.close()
                raise
            while len(self._archives) > OPEN_ARCHIVES:
                for handle in self._archives.popitem(last=False)[1]:
                    handle.close()
        self._archives.move_to_end(key)
        return self._archives[key][0]


def _open_tar(file: IO[bytes]) -> tarfile.TarFile:
    return tarfile.open(fileobj=file)


def _member(archive: Any, name: str) -> IO[bytes]:
    """Raises KeyError where there is none, and what the archive's module raises."""
    if isinstance(archive, zipfile.ZipFile):
        return archive.open(name)
    member: IO[bytes] | None = archive.extractfile(name)
    if member is None:
        raise KeyError(name)
    return member
