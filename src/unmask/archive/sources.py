"""Where files lie: folders, buckets, web listings, and archives among them.

What is in each, without reading it.

A path is a file of this machine, or a URL as fsspec writes them: s3://bucket/a.jpg, and
zip://a.jpg::folder/b.zip for the member a.jpg of an archive.
"""

from __future__ import annotations

import datetime
import os
import queue
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from unmask.archive.model import Entry, split
from unmask.errors import MissingExtraError, SourceError
from unmask.media.files import IMAGE_SUFFIXES, PassedOver, begins_like_media, is_media
from unmask.types import Failure

ARCHIVES = {
    ".zip": "zip",
    ".tar": "tar",
    ".tgz": "tar",
    ".tar.gz": "tar",
    ".tar.bz2": "tar",
    ".tar.xz": "tar",
}

ANSWER_S = 12.0
"""For a storage to say anything at all."""

ASKING = 16
"""Questions to a web server at a time, for what its listing does not say."""


@dataclass(frozen=True, slots=True)
class FileFilter:
    """Which of the listed files are wanted.

    - include, exclude: patterns as in a shell, of the path below the root or of the name alone
    - newer_than_s: seconds since 1970, of the last change; files without a date are wanted
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    newer_than_s: float | None = None

    def __call__(self, entry: Entry, root: str) -> bool:
        _, member, container = split(entry.path) or ("", "", entry.path)
        below = f"{container}/{member}".removeprefix(root).strip("/")
        named = below, below.rsplit("/", 1)[-1]

        def fits(patterns: Sequence[str]) -> bool:
            return any(fnmatchcase(name, pattern) for name in named for pattern in patterns)

        if (
            self.newer_than_s is not None
            and entry.modified_s is not None
            and entry.modified_s < self.newer_than_s
        ):
            return False
        return (not self.include or fits(self.include)) and not fits(self.exclude)

    @property
    def everything(self) -> bool:
        """Whether no file is left out."""
        return not self.include and not self.exclude and self.newer_than_s is None


class Source(Protocol):
    """A place with files.

    - passed_over: what was listed so far and is no picture or video
    """

    root: str
    passed_over: PassedOver

    def files(self) -> Iterator[Entry | Failure]:
        """All pictures and videos in it, by their suffixes, those in archives too.

        On this machine files without a known suffix are known by their first bytes. Hidden ones
        are left out. A part that cannot be listed is a Failure.

        Raises SourceError where nothing can.
        """

    def still_there(self) -> bool:
        """Whether the place is still what it was when it was opened."""


def open_source(root: str) -> Source:
    """The place at `root`: a folder, a file, an archive, or a URL.

    Raises SourceError, MissingExtraError.
    """
    if "://" in root:
        return RemoteStorage(root)
    return LocalFiles(os.path.abspath(root))


class LocalFiles:
    """A folder or a file of this machine.

    Links to folders are not followed, so that none leads in a circle.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.passed_over = PassedOver()
        try:
            status = os.stat(root)
        except OSError as error:
            raise SourceError(f"cannot open {root!r}: {error.strerror or error}") from error
        self._place = status.st_dev, status.st_ino
        self._folder = os.path.isdir(root)

    def files(self) -> Iterator[Entry | Failure]:
        """As `Source.files`; a file named itself is judged whatever its suffix."""
        if self._folder:
            yield from self._below(self.root, top=True)
        elif (kind := archive_kind(self.root)) is not None:
            yield from _members(kind, _entry(self.root), self.passed_over)
        else:
            yield _entry(self.root)

    def still_there(self) -> bool:
        """As `Source.still_there`: an unmounted folder is another one than before."""
        try:
            status = os.stat(self.root)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._place

    def _below(self, folder: str, *, top: bool = False) -> Iterator[Entry | Failure]:
        try:
            with os.scandir(folder) as listing:
                items = sorted(listing, key=lambda item: item.name)
        except OSError as error:
            if top:
                raise SourceError(
                    f"cannot read the folder {folder!r}: {error.strerror or error}"
                ) from error
            yield Failure(
                folder, "unreadable", f"the folder cannot be listed: {error.strerror or error}"
            )
            return
        for item in items:
            hidden = item.name.startswith(".")
            if item.is_dir(follow_symlinks=False):
                if not hidden:
                    yield from self._below(item.path)
                continue
            if _leads_to_a_folder(item):
                continue
            kind = archive_kind(item.name)
            wanted = kind or is_media(item.name) or begins_like_media(Path(item.path))
            if hidden or not wanted:
                self.passed_over.add(item.name)
                continue
            entry = _entry(item.path)
            if kind is None:
                yield entry
            else:
                yield from _members(kind, entry, self.passed_over)


class RemoteStorage:
    """A place that fsspec knows: s3, gs, http, memory, …"""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self.passed_over = PassedOver()
        self._fs, self._path = filesystem(self.root)

    def files(self) -> Iterator[Entry | Failure]:
        """As `Source.files`."""
        try:
            self._probe()
            yield from self._files()
        except SourceError:
            raise
        except Exception as error:  # each kind of storage has errors of its own
            raise SourceError(f"cannot list {self.root}: {reason(error)}") from error

    def still_there(self) -> bool:
        """As `Source.still_there`: asks the storage, and only after many failures."""
        try:
            return bool(self._fs.exists(self._path))
        except Exception:
            return False

    def _probe(self) -> None:
        """Check that something is there, without the minutes that libraries keep trying for.

        Raises SourceError where nothing is there, or nothing answers within ANSWER_S.
        """
        answers: queue.SimpleQueue[bool | Exception] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(bool(self._fs.exists(self._path)))
            except Exception as error:  # each kind of storage has errors of its own
                answers.put(error)

        threading.Thread(target=ask, name="unmask-probe", daemon=True).start()
        try:
            answer = answers.get(timeout=ANSWER_S)
        except queue.Empty:
            raise SourceError(
                f"{self.root} does not answer within {ANSWER_S:g} s; is the address right?"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        if not answer:
            raise SourceError(f"there is nothing at {self.root}")

    def _files(self) -> Iterator[Entry | Failure]:
        if is_media(self.root) or archive_kind(self.root) is not None:
            rows: Iterator[dict[str, Any]] = iter([self._fs.info(self._path)])
        else:
            rows = self._walk()
        for row in rows:
            entry = _described(self._fs, row)
            kind = archive_kind(entry.path)
            if kind is None:
                yield entry
            else:
                yield from _members(kind, entry, self.passed_over)

    def _walk(self) -> Iterator[dict[str, Any]]:
        """Folder by folder, so that only one folder's listing is held."""
        for folder, _, files in self._fs.walk(self._path, detail=True, on_error="raise"):
            rows = []
            nameless = self._behind_nameless(folder) if "" in files else {}
            for name, row in sorted({**files, **nameless}.items()):
                if row["type"] != "file":
                    continue
                hidden = _hidden(row["name"].removeprefix(self._path))
                wanted = is_media(row["name"]) or archive_kind(row["name"]) is not None
                if hidden or not wanted:
                    self.passed_over.add(name)
                    continue
                rows.append(row)
            if all(row.get("size") is not None for row in rows):
                yield from rows
                continue
            with ThreadPoolExecutor(ASKING) as pool:  # a web listing gives names alone
                yield from pool.map(self._ask, rows)

    def _behind_nameless(self, folder: str) -> dict[str, dict[str, Any]]:
        """What lies in a folder without a name, as a//b.jpg does in a.

        To storages a key is a text like any other; walking takes a// and a for the same.
        """
        below = self._fs.find(folder, detail=True)
        return {name: row for name, row in below.items() if name.startswith(f"{folder}//")}

    def _ask(self, row: dict[str, Any]) -> dict[str, Any]:
        try:
            return {**row, **self._fs.info(row["name"])}
        except Exception:
            return row  # fetching it will say what is wrong


def filesystem(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it.

    Raises SourceError, MissingExtraError.
    """
    from fsspec import get_filesystem_class
    from fsspec.core import url_to_fs

    protocol = url.split("://", maxsplit=1)[0]
    if protocol in ("file", "local"):
        raise SourceError(f"name files of this machine by their path, not as {url!r}")
    try:
        if "::" in url and "::" not in protocol:
            # in a name, not between the links of a chain
            kind = get_filesystem_class(protocol)
            options = kind._get_kwargs_from_urls(url)
            return kind(**options, use_listings_cache=False), kind._strip_protocol(url)
        fs, path = url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise MissingExtraError(f"reading {protocol}:// ({error})", "archive") from error
    except Exception as error:
        raise SourceError(f"cannot use {url!r}: {reason(error)}") from error
    return fs, path


def open_bytes(path: str) -> IO[bytes]:
    """A file or URL for reading.

    Raises OSError and what storages raise.
    """
    if "://" in path:
        fs, inner = filesystem(path)
        file: IO[bytes] = fs.open(inner, "rb")
        return file
    return open(path, "rb")


def archive_kind(name: str) -> str | None:
    """`zip` or `tar`, by the suffix."""
    lower = name.lower()
    return next((kind for suffix, kind in ARCHIVES.items() if lower.endswith(suffix)), None)


def is_picture(name: str) -> bool:
    """Whether the suffix is one of a picture."""
    return PurePosixPath((split(name) or ("", name, ""))[1]).suffix.lower() in IMAGE_SUFFIXES


def reason(error: BaseException) -> str:
    """An error of a library in one line."""
    words = (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip()
    return words.splitlines()[0]


def stamp_of(path: str) -> str:
    """The stamp of a file of this machine.

    Raises OSError.
    """
    status = os.stat(path)
    return f"{status.st_size}-{status.st_mtime_ns}"


def _entry(path: str) -> Entry:
    try:
        status = os.stat(path)
    except OSError:
        return Entry(path)  # a link into nowhere or in a circle: reading it will say so
    return Entry(path, status.st_size, status.st_mtime, f"{status.st_size}-{status.st_mtime_ns}")


def _leads_to_a_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:
        return False


def _hidden(name: str) -> bool:
    return any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))


def _described(fs: Any, row: dict[str, Any]) -> Entry:
    """An entry of what a storage says of a file."""
    tag = next(
        (row[key] for key in ("ETag", "etag", "md5Hash", "content_md5", "crc32c") if row.get(key)),
        "",
    )
    when = next(
        (
            row[k]
            for k in ("LastModified", "updated", "mtime", "last_modified", "created")
            if row.get(k) is not None
        ),
        None,
    )
    if isinstance(when, str):
        try:
            when = datetime.datetime.fromisoformat(when)
        except ValueError:
            when = None
    modified = when.timestamp() if isinstance(when, datetime.datetime) else when
    size = row.get("size")
    return Entry(
        fs.unstrip_protocol(row["name"]),
        size,
        modified,
        f"{size}-{str(tag).strip(chr(34)) or modified}",
    )


def _members(kind: str, container: Entry, passed_over: PassedOver) -> Iterator[Entry | Failure]:
    """The pictures and videos in an archive."""
    names: set[str] = set()
    try:
        with closing(open_bytes(container.path)) as file:
            for name, size, modified, stamp in _zipped(file) if kind == "zip" else _tarred(file):
                if _hidden(name) or not is_media(name):
                    passed_over.add(PurePosixPath(name).name)
                elif name in names:
                    # a path names one member: the others of that name cannot be reached
                    path = f"{kind}://{name}::{container.path}"
                    message = "the archive holds several files of this name; one was looked at"
                    yield Failure(path, "unreadable", message)
                else:
                    names.add(name)
                    yield Entry(
                        f"{kind}://{name}::{container.path}",
                        size,
                        modified or container.modified_s,
                        stamp,
                    )
    except (
        OSError,
        EOFError,
        ValueError,
        zipfile.BadZipFile,
        tarfile.TarError,
        NotImplementedError,
    ) as error:
        yield Failure(
            container.path,
            "unknown_format",
            f"the archive cannot be listed to its end: {reason(error)}",
        )


def _zipped(file: IO[bytes]) -> Iterator[tuple[str, int, float | None, str]]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                yield info.filename, info.file_size, None, f"{info.file_size}-{info.CRC:08x}"


def _tarred(file: IO[bytes]) -> Iterator[tuple[str, int, float | None, str]]:
    with tarfile.open(fileobj=file, mode="r|*") as archive:  # as a stream: members are not held
        for info in archive:
            archive.members = []  # type: ignore[attr-defined]
            if info.isreg():
                yield info.name, info.size, float(info.mtime), f"{info.size}-{info.mtime}"
