from __future__ import annotations

import hashlib
import importlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from unmask.errors import EmptyFileError, MissingFileError, NothingToJudgeError, UnreadableFileError
from unmask.media import PassedOver, find_media, open_media
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


def test_files_without_a_known_suffix_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    """As messengers and browsers name them, and as recovered from a card."""
    beginnings = {
        "IMG_0001": b"\xff\xd8\xff\xe0",
        "photo.bin": b"\x89PNG\r\n\x1a\n",
        "clip.part": b"\0\0\0\x20ftypisom",
        "capture.dat": (b"G" + bytes(187)) * 3,
        "story.tmp": b"RIFF\0\0\0\0WEBPVP8 ",
    }
    for name, head in beginnings.items():
        (tmp_path / name).write_bytes(head + bytes(100))
    (tmp_path / "letter.doc").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    os.mkfifo(tmp_path / "pipe")
    assert {path.name for path in find_media(tmp_path)} == set(beginnings)


def test_what_is_passed_over_is_counted(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.txt", "c.TXT", "d.json", "README", ".hidden.jpg", "deep/e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("words")
    passed_over = PassedOver()
    assert len(list(find_media(tmp_path, passed_over))) == 1
    assert passed_over.counts() == {".txt": 3, ".json": 1, "hidden": 1, "without a suffix": 1}
    assert passed_over.words() == (
        "6 files were passed over, being neither pictures nor videos: 3 .txt, 1 hidden,"
        " 1 without a suffix, 1 .json"
    )
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(NothingToJudgeError, match="6 files were passed over"):
        list(find_media(tmp_path))


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


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("2-generated.jpg", "file_sha256"),
        ("2-generated.jpg", "refuse_known"),
        ("2-generated.jpg", "look_behind"),
        ("5-generated.mp4", "open_image"),
    ],
)
def test_a_file_that_goes_away_while_it_is_opened_is_missing(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, stage: str
) -> None:
    """As when a disk is unmounted: another run may find it again."""
    path = shutil.copy(demo / name, tmp_path / name)
    module = importlib.import_module("unmask.media.open")
    step = getattr(module, stage)

    def then_gone(*given: Any) -> Any:
        result = step(*given)
        path.unlink()
        return result

    monkeypatch.setattr(module, stage, then_gone)
    with pytest.raises(MissingFileError, match="went away"):
        open_media(path)
