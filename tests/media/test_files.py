from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from unmask.errors import EmptyFileError, MissingFileError, NothingToJudgeError, UnreadableFileError
from unmask.media import find_media
from unmask.media.files import file_sha256


def test_a_folder_gives_its_media_in_order(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.mp4", "notes.txt", ".hidden.jpg", "deep/c.webp", ".git/d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in find_media(tmp_path)] == [
        "a.mp4",
        "b.JPG",
        "deep/c.webp",
    ]


def test_a_named_file_is_taken_whatever_its_name(tmp_path: Path) -> None:
    assert list(find_media(tmp_path / "picture.xyz")) == [tmp_path / "picture.xyz"]


def test_a_folder_with_nothing_to_judge(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(NothingToJudgeError):
        list(find_media(tmp_path))


def test_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        file_sha256(tmp_path / "none.jpg")
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(EmptyFileError):
        file_sha256(tmp_path / "empty.jpg")
    with pytest.raises(UnreadableFileError):
        file_sha256(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(UnreadableFileError, match="not a regular file"):
        file_sha256(tmp_path / "pipe.jpg")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "a.jpg").chmod(0)
    with pytest.raises(UnreadableFileError, match="Permission denied"):
        file_sha256(tmp_path / "a.jpg")


def test_a_read_error_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UnreadableFileError, match="Permission denied"):
        file_sha256(tmp_path / "a.jpg")
