"""Where files lie: what is listed, what is fetched, and what is said where that fails."""

from __future__ import annotations

import http.server
import os
import tarfile
import threading
import warnings
import zipfile
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path

import fsspec
import pytest

from unmask.archive import Entry, FileFilter, Task, open_source
from unmask.archive.fetch import Fetcher
from unmask.archive.sources import filesystem, is_picture, split
from unmask.errors import (
    ChangedFileError,
    MediaError,
    MissingExtraError,
    MissingFileError,
    OutputError,
    SourceError,
    UnknownFormatError,
    UnreachableError,
)
from unmask.types import Failure


def listed(root: object) -> list[str]:
    return [item.path for item in open_source(str(root)).files()]


def task(entry: Entry) -> Task:
    return Task(1, entry.path, entry.stamp, entry.size, "full", "new")


def entry_of(root: object, ending: str) -> Entry:
    (found,) = (
        item
        for item in open_source(str(root)).files()
        if item.path.endswith(ending) or f"{ending}::" in item.path
    )
    assert isinstance(found, Entry)
    return found


@pytest.fixture
def fetcher(tmp_path: Path) -> Iterator[Fetcher]:
    with Fetcher(tmp_path / "spool") as fetcher:
        yield fetcher


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A folder with archives of each kind, each with a picture, a video, and what is neither."""
    root = tmp_path / "packed"
    root.mkdir()
    members = {
        "in/a.jpg": b"picture",
        "b.mp4": b"video" * 100,
        "notes.txt": b"x",
        ".hidden.jpg": b"x",
    }
    for name, data in members.items():
        (tmp_path / "m" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "m" / name).write_bytes(data)
    with zipfile.ZipFile(root / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in members:
            archive.write(tmp_path / "m" / name, name)
    for name, mode in (("t.tar", "w"), ("g.tar.gz", "w:gz"), ("x.tar.xz", "w:xz")):
        with tarfile.open(root / name, mode) as tar:  # type: ignore[call-overload]
            for member in members:
                tar.add(tmp_path / "m" / member, f"./{member}")
    return root


def test_a_folder(folder: Path) -> None:
    (folder / ".hidden.jpg").touch()
    (folder / ".git").mkdir()
    (folder / ".git" / "x.jpg").touch()
    (folder / "notes.txt").touch()
    assert listed(folder) == [
        str(folder / name) for name in ("a.jpg", "b/c.jpg", "b/d.png", "b/e.png", "f.mp4")
    ]
    assert entry_of(folder, "f.mp4").size == 2
    assert listed(folder / "notes.txt") == [
        str(folder / "notes.txt")
    ]  # whoever names a file means it


def test_links_lead_in_no_circle(folder: Path) -> None:
    (folder / "b" / "up").symlink_to(folder)
    (folder / "b" / "up.jpg").symlink_to(folder)  # a folder, whatever it is called
    (folder / "b" / "self.jpg").symlink_to("self.jpg")
    (folder / "b" / "other.jpg").symlink_to(folder / "a.jpg")
    found = listed(folder)
    assert len(found) == len(set(found)) == 7
    assert str(folder / "b" / "self.jpg") in found  # whoever reads it is told that it cannot be
    root = folder.parent / "link"
    root.symlink_to(folder)
    assert len(listed(root)) == 7  # what is named is followed


def test_names_of_any_bytes(folder: Path, fetcher: Fetcher) -> None:
    for name in (b"line\nbreak.jpg", b"\xff\xfe.jpg", b"quote'\".jpg"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(name)
    entries = [item for item in open_source(str(folder)).files() if isinstance(item, Entry)]
    assert len(entries) == 8
    assert all(fetcher.fetch(task(entry)).sha256 for entry in entries)


def test_a_folder_that_cannot_be_listed_costs_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def closed(path: str) -> object:
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    found = list(open_source(str(folder)).files())
    assert [type(item).__name__ for item in found] == ["Entry", "Failure", "Entry"]
    with pytest.raises(SourceError, match=r"cannot read the folder .*Permission denied"):
        list(open_source(str(folder / "b")).files())
    with pytest.raises(SourceError, match="No such file"):
        open_source(str(folder / "none"))


def test_members_of_archives(packed: Path, fetcher: Fetcher) -> None:
    found = listed(packed)
    assert len(found) == 8
    assert f"zip://in/a.jpg::{packed}/z.zip" in found
    assert f"tar://./in/a.jpg::{packed}/g.tar.gz" in found
    for item in open_source(str(packed)).files():
        assert isinstance(item, Entry)
        assert item.folder in {str(path) for path in packed.iterdir()}
        fetched = fetcher.fetch(task(item))
        data = b"picture" if is_picture(item.path) else b"video" * 100
        assert (item.size, fetched.sha256) == (len(data), sha256(data).hexdigest())
        fetched.discard()
        assert not Path(fetched.path).exists()
    assert listed(packed / "z.zip") == [
        f"zip://{name}::{packed}/z.zip" for name in ("in/a.jpg", "b.mp4")
    ]


def test_a_member_changes_with_its_content(packed: Path) -> None:
    before = entry_of(packed / "z.zip", "a.jpg")
    with zipfile.ZipFile(packed / "z.zip", "w") as archive:
        archive.writestr("in/a.jpg", b"changed")
        archive.writestr("b.mp4", b"video" * 100)
    assert entry_of(packed / "z.zip", "a.jpg").stamp != before.stamp


def test_broken_archives(packed: Path, fetcher: Fetcher) -> None:
    whole = (packed / "t.tar").read_bytes()
    (packed / "t.tar").write_bytes(whole[:700])
    (packed / "z.zip").write_bytes(b"PK no archive")
    failures = [item for item in open_source(str(packed)).files() if isinstance(item, Failure)]
    assert sorted(Path(item.path).name for item in failures) == ["t.tar", "z.zip"]
    assert all(item.kind == "unknown_format" for item in failures)
    with pytest.raises(UnknownFormatError, match="cannot be taken out"):
        fetcher.fetch(Task(1, f"zip://in/a.jpg::{packed}/z.zip", "", None, "full", "new"))
    with pytest.raises(MissingFileError, match="no longer has this member"):
        fetcher.fetch(Task(1, f"tar://none.jpg::{packed}/g.tar.gz", "", None, "full", "new"))
    with pytest.raises(MissingFileError):
        fetcher.fetch(Task(1, f"zip://a.jpg::{packed}/none.zip", "", None, "full", "new"))


def test_an_encrypted_member_is_told(tmp_path: Path, fetcher: Fetcher) -> None:
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", b"x")
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag of an encrypted member, in its own header and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(UnknownFormatError, match="encrypted"):
        fetcher.fetch(task(entry_of(path, "a.jpg")))


def test_what_is_wanted(folder: Path) -> None:
    os.utime(folder / "a.jpg", (1000, 1000))

    def chosen(**asked: object) -> list[str]:
        wanted, source = FileFilter(**asked), open_source(str(folder))  # type: ignore[arg-type]
        return [
            Path(e.path).name
            for e in source.files()
            if isinstance(e, Entry) and wanted(e, source.root)
        ]

    assert chosen(include=("*.png", "*.mp4")) == ["d.png", "e.png", "f.mp4"]
    assert chosen(include=("b/*",), exclude=("*.png",)) == ["c.jpg"]
    assert chosen(exclude=("b/*",)) == ["a.jpg", "f.mp4"]
    assert chosen(newer_than_s=2000.0) == ["c.jpg", "d.png", "e.png", "f.mp4"]
    member = Entry(f"zip://in/a.jpg::{folder}/z.zip", 1)
    # without a date: wanted
    assert FileFilter(include=("z.zip/in/*",), newer_than_s=5.0)(member, str(folder))
    assert FileFilter().everything


def test_paths() -> None:
    assert split("zip://a/b.jpg::s3://bucket/c.zip") == ("zip", "a/b.jpg", "s3://bucket/c.zip")
    assert split("/a/b.jpg") is None
    # names may hold what separates them
    assert split("zip://a::b.jpg::/c.zip") == ("zip", "a::b.jpg", "/c.zip")
    assert split("tar://a.jpg::/x::y/c.tar") == ("tar", "a.jpg", "/x::y/c.tar")
    assert Entry("zip://a/b.jpg::s3://bucket/c.zip").folder == "s3://bucket/c.zip"
    assert is_picture("zip://a/b.JPG::c.zip")
    assert not is_picture("zip://a/b.mp4::c.zip")


def test_a_file_that_changes_while_it_is_judged(folder: Path, fetcher: Fetcher) -> None:
    path = folder / "a.jpg"
    fetched = fetcher.fetch(task(Entry(str(path), 2)))
    fetched.check(fetched.sha256)
    with pytest.raises(ChangedFileError):
        fetched.check("0" * 64)  # what was judged had other bytes
    path.write_bytes(b"longer")
    with pytest.raises(ChangedFileError):
        fetched.check(fetched.sha256)
    path.unlink()
    with pytest.raises(ChangedFileError):
        fetched.check(fetched.sha256)


class Storage(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """A storage that fails as often as it is told to."""

    protocol = "shaky"
    cachable = False
    failures = 0
    short = False

    def info(self, path: str, **_: object) -> dict[str, object]:
        return {"name": path, "size": 4, "type": "file", "ETag": '"tag"'}

    def get_file(self, path: str, target: str, **_: object) -> None:
        if Storage.failures:
            Storage.failures -= 1
            raise OSError(f"SlowDown: reduce your request rate\nfor {path}")
        Path(target).write_bytes(b"dat" if Storage.short else b"data")


@pytest.fixture
def shaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Storage]]:
    fsspec.register_implementation("shaky", Storage, clobber=True)
    monkeypatch.setattr("unmask.archive.fetch.PAUSE_S", 0.001)
    yield Storage
    Storage.failures, Storage.short = 0, False


def test_a_storage_that_throttles_is_asked_again(shaky: type[Storage], fetcher: Fetcher) -> None:
    shaky.failures = 3
    assert (
        fetcher.fetch(Task(1, "shaky://a.jpg", "", 4, "full", "new")).sha256
        == sha256(b"data").hexdigest()
    )
    shaky.failures = 4
    with pytest.raises(
        UnreachableError, match=r"\(tried 4 times\): SlowDown: reduce your request rate$"
    ):
        fetcher.fetch(Task(1, "shaky://a.jpg", "", 4, "full", "new"))


def test_half_a_file_is_none(shaky: type[Storage], fetcher: Fetcher, tmp_path: Path) -> None:
    shaky.short = True
    with pytest.raises(UnreachableError, match="3 bytes arrived of the 4"):
        fetcher.fetch(Task(1, "shaky://a.jpg", "", 4, "full", "new"))
    assert list((tmp_path / "spool").iterdir()) == []


def test_no_room_for_a_remote_file_is_not_its_fault(
    shaky: type[Storage], fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Storage, "get_file", full)
    with pytest.raises(OutputError, match=r"no room in .*spool for shaky://a.jpg"):
        fetcher.fetch(Task(1, "shaky://a.jpg", "", 4, "full", "new"))


def test_a_storage_in_memory(fetcher: Fetcher) -> None:
    memory = fsspec.filesystem("memory")
    for name in ("bucket/2026/a.jpg", "bucket/b.mp4", "bucket/notes.txt", "bucket/.x/c.jpg"):
        memory.pipe_file(f"/{name}", name.encode())
    try:
        root = "memory://bucket"
        assert sorted(listed(root)) == ["memory:///bucket/2026/a.jpg", "memory:///bucket/b.mp4"]
        fetched = fetcher.fetch(task(entry_of(root, "a.jpg")))
        assert fetched.sha256 == sha256(b"bucket/2026/a.jpg").hexdigest()
        assert listed(root + "/b.mp4") == ["memory:///bucket/b.mp4"]
        memory.rm("/bucket/b.mp4")
        with pytest.raises(MissingFileError):
            fetcher.fetch(Task(1, "memory://bucket/b.mp4", "", None, "full", "new"))
        with pytest.raises(SourceError, match="nothing at memory://none"):
            listed("memory://none")
    finally:
        memory.rm("/bucket", recursive=True)


def test_urls_that_are_none() -> None:
    with pytest.raises(SourceError, match="cannot use 'nonesuch://a'"):
        open_source("nonesuch://a")
    with pytest.raises(SourceError, match="by their path"):
        open_source("file:///a")


def test_a_storage_whose_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(MissingExtraError, match=r"archive"):
        filesystem("s3://bucket")


@pytest.fixture
def web(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_web_listing(web: str, fetcher: Fetcher) -> None:
    assert sorted(listed(web)) == [
        f"{web}/{name}" for name in ("a.jpg", "b/c.jpg", "b/d.png", "b/e.png", "f.mp4")
    ]
    entry = entry_of(web, "f.mp4")
    assert entry.size == 2
    assert fetcher.fetch(task(entry)).sha256 == sha256(b"\xf04").hexdigest()
    with pytest.raises(MediaError):
        fetcher.fetch(Task(1, f"{web}/none.jpg", "", None, "full", "new"))


def test_members_of_one_name_are_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for content in (b"one", b"two", b"three"):
            archive.writestr("same.jpg", content)
    first, *others = open_source(str(tmp_path / "a.zip")).files()
    assert isinstance(first, Entry)
    assert len(others) == 2
    assert all(isinstance(other, Failure) for other in others)


def test_what_is_passed_over_is_counted_in_archives_too(packed: Path) -> None:
    source = open_source(str(packed))
    list(source.files())
    counts = source.passed_over.counts()
    assert counts[".txt"] >= 2
    assert counts["hidden"] >= 2
