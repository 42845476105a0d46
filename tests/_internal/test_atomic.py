from __future__ import annotations

from pathlib import Path

import pytest

from unmask._internal.atomic import atomic_path, output_folder, write_atomically
from unmask.errors import OutputError


def test_text_and_bytes(tmp_path: Path) -> None:
    assert write_atomically(tmp_path / "a.txt", "größer").read_text() == "größer"
    assert write_atomically(tmp_path / "a.txt", b"\x00").read_bytes() == b"\x00"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_failure_within_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    target.write_text("old")

    def fail_halfway() -> None:
        with atomic_path(target) as partial:
            partial.write_text("half of the n")
            raise RuntimeError("killed here")

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_target_is_whole_until_the_end(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    target.write_text("old")
    with atomic_path(target) as partial:
        partial.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"


def test_what_cannot_be_written_is_one_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "below.txt"
    with pytest.raises(OutputError, match=r"cannot write .*below\.txt: .*; choose another name"):
        write_atomically(target, "x", advice="choose another name")
    with pytest.raises(OutputError, match="cannot write"):
        write_atomically(tmp_path / "no" / "folder.txt", "x")
    assert write_atomically(tmp_path / "no" / "folder.txt", "x", make_folder=True).is_file()


def test_a_folder_is_tried_before_the_work(tmp_path: Path) -> None:
    assert output_folder(tmp_path / "a" / "b").is_dir()
    assert not list((tmp_path / "a" / "b").iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write into"):
        output_folder(tmp_path / "file")
