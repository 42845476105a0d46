"""What is judged, what is not judged again, and what the ledger refuses."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from unmask.archive import (
    Cause,
    Coordinator,
    FileFilter,
    Ledger,
    Order,
    Outcome,
    read_ledger,
    schema,
)
from unmask.archive.database import translate_errors
from unmask.archive.model import Entry, decode_path, encode_path
from unmask.archive.queries import Filter, rows
from unmask.errors import LedgerError, SourceError
from unmask.testing import FakeExecutor, fake_pass

ALL = ["a.jpg", "c.jpg", "d.png", "f.mp4"]  # e.png has the bytes of a.jpg


def names(judged: list[tuple[str, str]]) -> list[str]:
    return sorted(name for name, _ in judged)


def table(ledger: Path) -> dict[str, dict[str, Any]]:
    with closing(read_ledger(ledger)) as database:
        return {
            Path(row["path"]).name: row for row in rows(database, str(ledger), Filter(gone=True))
        }


def test_each_content_is_judged_once_and_each_path_has_its_verdict(
    scan: Any, tmp_path: Path
) -> None:
    counts, judged, _ = scan()
    assert counts == {"judged": 5}
    assert names(judged) == ALL
    found = table(tmp_path / "scan.ledger")
    assert found["a.jpg"]["sha256"] == found["e.png"]["sha256"]
    assert [found[name]["label"] for name in ("a.jpg", "e.png", "c.jpg", "d.png")] == [
        "fake", "fake", "real", "inconclusive",
    ]  # fmt: skip
    assert found["d.png"]["probability_fake"] == 0.5


def test_a_second_run_does_nothing(scan: Any) -> None:
    scan()
    counts, judged, _ = scan()
    assert (counts, judged) == ({"judged": 5}, [])


def test_new_and_changed_files_are_judged(scan: Any, folder: Path, tmp_path: Path) -> None:
    scan()
    (folder / "g.jpg").write_bytes(b"\x405")
    (folder / "a.jpg").write_bytes(b"\x000")
    assert names(scan()[1]) == ["a.jpg", "g.jpg"]
    found = table(tmp_path / "scan.ledger")
    assert found["a.jpg"]["label"] == "real"
    assert found["e.png"]["label"] == "fake"  # still has the old bytes


def test_a_file_that_was_only_touched_is_read_but_not_judged(scan: Any, folder: Path) -> None:
    scan()
    os.utime(folder / "a.jpg", (1, 1))
    counts, judged, _ = scan()
    assert (counts, judged) == ({"judged": 5}, [])


def test_changed_can_be_left_alone(scan: Any, folder: Path) -> None:
    scan()
    (folder / "a.jpg").write_bytes(b"\x000")
    assert scan(again=frozenset())[1] == []
    assert names(scan()[1]) == ["a.jpg"]  # it was not forgotten


def test_another_bundle_judges_all_again_and_the_first_is_remembered(
    scan: Any, tmp_path: Path
) -> None:
    scan()
    assert scan(model="other", again=frozenset({Cause.CHANGED}))[1] == []
    assert names(scan(model="other")[1]) == ALL
    assert table(tmp_path / "scan.ledger")["a.jpg"]["model_name"] == "other"
    assert scan()[1] == []  # back: the ledger still has what the first said
    assert table(tmp_path / "scan.ledger")["a.jpg"]["model_name"] == "example"


def test_all_again(scan: Any) -> None:
    scan()
    assert names(scan(again=frozenset({Cause.ALL}))[1]) == ALL


def test_passing_errors_are_tried_again_and_others_when_asked(
    scan: Any, folder: Path, tmp_path: Path
) -> None:
    (folder / "empty.jpg").touch()
    (folder / "nowhere.jpg").symlink_to(folder / "later")
    counts, _, outcomes = scan()
    assert counts == {"judged": 5, "failed": 1, "postponed": 1}
    assert {outcome.error_kind for outcome in outcomes if outcome.error_kind} == {
        "empty",
        "missing",
    }
    assert [o.error_kind for o in scan()[2]] == ["missing"]
    assert sorted(
        o.error_kind for o in scan(again=frozenset({Cause.TRANSIENT, Cause.FAILED}))[2]
    ) == [
        "empty",
        "missing",
    ]
    (folder / "later").write_bytes(b"\x207")
    counts, judged, _ = scan()
    assert (names(judged), counts) == (["nowhere.jpg"], {"judged": 6, "failed": 1})
    assert table(tmp_path / "scan.ledger")["nowhere.jpg"]["error_kind"] is None


def test_files_that_are_no_more_there_are_told_apart(
    scan: Any, folder: Path, tmp_path: Path
) -> None:
    scan()
    (folder / "a.jpg").unlink()
    assert scan(wanted=FileFilter(include=("*.png",)))[0] == {
        "judged": 2
    }  # what was not looked for is not gone
    assert table(tmp_path / "scan.ledger")["a.jpg"]["state"] == "judged"
    scan()
    with closing(read_ledger(tmp_path / "scan.ledger")) as database:
        assert [row["path"] for row in database.execute("SELECT path FROM files WHERE gone")] == [
            str(folder / "a.jpg")
        ]
    (folder / "a.jpg").write_bytes(b"\xff1")
    assert scan()[1] == []  # back again: known by its bytes
    with closing(read_ledger(tmp_path / "scan.ledger")) as database:
        assert database.execute("SELECT count(*) FROM files WHERE gone").fetchone()[0] == 0


def test_roots_that_overlap(scan: Any, folder: Path) -> None:
    counts, judged, _ = scan(roots=[folder, folder / "b", folder])
    assert (counts, names(judged)) == ({"judged": 5}, ALL)


class Changing(FakeExecutor):
    """The first file of all changes while it is judged."""

    def run(self, coordinator: Coordinator) -> Generator[Outcome]:
        for outcome in super().run(coordinator):
            if len(self.judged) == 1:
                yield Outcome(
                    outcome.file,
                    outcome.sha256,
                    "full",
                    error_kind="changed",
                    error_message="it changed",
                )
            else:
                yield outcome


def test_a_copy_is_judged_where_the_first_one_changed_meanwhile(scan: Any, tmp_path: Path) -> None:
    counts, judged, _ = scan(engine=Changing())
    assert counts == {"judged": 4, "postponed": 1}
    assert names(judged) == ["a.jpg", "c.jpg", "d.png", "e.png", "f.mp4"]
    found = table(tmp_path / "scan.ledger")
    assert (found["a.jpg"]["state"], found["a.jpg"]["error_kind"]) == ("postponed", "changed")
    assert (found["e.png"]["state"], found["e.png"]["label"]) == ("judged", "fake")
    assert scan()[0] == {"judged": 5}


def test_an_empty_mount_point_is_no_empty_archive(scan: Any, folder: Path, tmp_path: Path) -> None:
    scan()
    folder.rename(tmp_path / "unmounted")
    folder.mkdir()
    with pytest.raises(SourceError, match="knows 5 from there: is it mounted"):
        scan()
    with closing(read_ledger(tmp_path / "scan.ledger")) as database:
        assert database.execute("SELECT count(*) FROM files WHERE gone").fetchone()[0] == 0
        assert [row[0] for row in database.execute("SELECT how FROM runs ORDER BY id")] == [
            "done",
            "failed",
        ]


def test_orders(scan: Any, folder: Path) -> None:
    for number, name in enumerate(("c.jpg", "d.png")):
        (folder / "b" / name).write_bytes(bytes(100 * (number + 1)))
        os.utime(folder / "b" / name, (2e9 + number, 2e9 + number))  # newer than any clock says
    assert [name for name, _ in scan(order=Order.LARGEST)[1]][:2] == ["d.png", "c.jpg"]
    judged = scan(order=Order.NEWEST, again=frozenset({Cause.ALL}))[1]
    assert [name for name, _ in judged][:2] == ["d.png", "c.jpg"]


def test_what_a_killed_run_was_at_is_judged_by_the_next(scan: Any, tmp_path: Path) -> None:
    scan()
    with closing(sqlite3.connect(tmp_path / "scan.ledger")) as database, database:
        database.execute(
            "UPDATE files SET state = 'under_way', sha256 = NULL WHERE path LIKE '%d.png'"
        )
    counts, judged, _ = scan()
    assert counts == {"judged": 5}
    assert judged == []  # its content was judged before the kill, and is known again


def test_the_most_suspected_get_the_full_look(scan: Any, folder: Path, tmp_path: Path) -> None:
    for number in range(8):
        (folder / f"{number}.mp4").write_bytes(bytes([10 * number, 77]))
    _, judged, _ = scan(budget=0.25)
    first = [name for name, scan_pass in judged if scan_pass == "first"]
    full = [name for name, scan_pass in judged if scan_pass == "full"]
    assert len(first) == 9
    # pictures have one frame, so their first look is the full one; a quarter of nine videos are two
    assert full == ["a.jpg", "c.jpg", "d.png", "f.mp4", "7.mp4"]
    assert scan(budget=0.25)[1] == []
    assert scan(budget=0.5)[1] == [("6.mp4", "full"), ("5.mp4", "full")]  # four of nine: two more
    assert sorted(scan()[1]) == [
        (f"{number}.mp4", "full") for number in range(5)
    ]  # without a budget: the rest


def test_a_first_look_by_another_bundle_is_one_at_pictures_too(scan: Any) -> None:
    _, judged, _ = scan(budget=0.4, first="small")
    assert sorted(judged) == [
        ("a.jpg", "first"),
        ("a.jpg", "full"),
        ("c.jpg", "first"),
        ("d.png", "first"),
        ("f.mp4", "first"),
    ]


def test_two_processes_on_one_ledger(scan: Any, tmp_path: Path, folder: Path) -> None:
    scan()
    with Ledger(tmp_path / "scan.ledger") as ledger:
        ledger.begin({"full": fake_pass()}, ["somewhere"])
        code = (
            "from unmask.archive import Ledger; from pathlib import Path;"
            f" Ledger(Path({str(ledger.name)!r}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert (
            f"another process is using {ledger.name} (run 2: process {os.getpid()} on"
            in done.stderr
        )
        with closing(read_ledger(tmp_path / "scan.ledger")) as database:  # but it can be asked
            assert database.execute("SELECT count(*) FROM results").fetchone()[0] == 5
    assert scan()[1] == []


def test_a_newer_ledger_is_refused_and_left_alone(scan: Any, tmp_path: Path) -> None:
    scan()
    with closing(sqlite3.connect(tmp_path / "scan.ledger")) as database:
        database.execute("PRAGMA user_version = 99")
    for use in (scan, lambda: read_ledger(tmp_path / "scan.ledger")):
        with pytest.raises(
            LedgerError,
            match=f"version 99, made by a newer unmask.* up to {len(schema.MIGRATIONS)}",
        ):
            use()


def test_other_files_are_refused(scan: Any, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("no database, " * 100)
    with pytest.raises(LedgerError, match="it is not a ledger, nor any SQLite database"):
        scan(ledger=tmp_path / "notes")
    assert (tmp_path / "notes").read_text().startswith("no database")
    with closing(sqlite3.connect(tmp_path / "other")) as database:
        database.execute("CREATE TABLE a (b)")
    with pytest.raises(LedgerError, match="not a ledger of unmask"):
        scan(ledger=tmp_path / "other")
    with pytest.raises(LedgerError, match="cannot write beside"):
        scan(ledger=tmp_path / "notes" / "ledger")
    with pytest.raises(LedgerError, match="there is no ledger"):
        read_ledger(tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(LedgerError, match="empty file"):
        read_ledger(tmp_path / "empty")


def test_an_older_ledger_is_brought_up(
    scan: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan()
    change = "ALTER TABLE files ADD COLUMN note TEXT; UPDATE files SET note = path"
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, change))
    assert scan()[1] == []
    with closing(sqlite3.connect(tmp_path / "scan.ledger")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS),)
        assert database.execute("SELECT count(*) FROM files WHERE note = path").fetchone() == (5,)


def test_a_migration_that_fails_changes_nothing(
    scan: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan()
    before = len(schema.MIGRATIONS)
    broken = "ALTER TABLE files ADD COLUMN note TEXT; INSERT INTO nonesuch VALUES (1)"
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
    with pytest.raises(LedgerError, match="nonesuch"):
        scan()
    with closing(sqlite3.connect(tmp_path / "scan.ledger")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (before,)
        assert "note" not in [row[1] for row in database.execute("PRAGMA table_info(files)")]


def test_a_full_disk_stops_the_run_and_the_next_goes_on(
    scan: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        (folder / f"{number:03}.jpg").write_bytes(bytes([number, 1]) * 50)
    opened = Ledger.__init__

    def small(self: Ledger, path: Path | None) -> None:
        opened(self, path)
        # SQLite says the same as where the disk is full
        self._db.execute("PRAGMA max_page_count = 50")

    monkeypatch.setattr(Ledger, "__init__", small)
    with pytest.raises(LedgerError, match=r"full.*make room, and give the same command again"):
        scan()
    monkeypatch.setattr(Ledger, "__init__", opened)
    with closing(read_ledger(tmp_path / "scan.ledger")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert scan()[0] == {"judged": 205}


def test_a_clock_that_jumps_changes_nothing(
    scan: Any, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    scan()
    for module in ("ledger", "rows"):
        monkeypatch.setattr(f"unmask.archive.{module}.now_utc", lambda: "1970-01-01T00:00:00+00:00")
    assert scan()[1] == []
    (folder / "a.jpg").write_bytes(b"\x009")
    os.utime(folder / "a.jpg", (5, 5))  # changed, though its date went back
    assert names(scan()[1]) == ["a.jpg"]
    assert scan()[1] == []


@pytest.mark.parametrize(
    "path", ["/a/plain.jpg", "/a/line\nbreak.jpg", os.fsdecode(b"/a/\xff\xfe.jpg"), "/ä/ö.jpg"]
)
def test_names_survive(path: str) -> None:
    text, raw = encode_path(path)
    text.encode()  # valid
    assert decode_path(text, raw) == path


def test_names_that_are_not_utf8_are_told_apart_from_those_that_spell_them(tmp_path: Path) -> None:
    with Ledger(None) as ledger:
        ledger.begin({"full": fake_pass()}, [])
        paths = [os.fsdecode(b"/a/\xff.jpg"), "/a/\\xff.jpg"]
        ledger.upsert([(Entry(path, stamp="1"), 0.0) for path in paths], frozenset())
        assert [row[1] for row in ledger.claim(10)] == paths


def test_a_judgement_needs_a_content() -> None:
    with Ledger(None) as ledger, pytest.raises(ValueError, match="no sha-256"):
        ledger.record(Outcome(1, None, "full"), [1])


def test_errors_of_sqlite_are_told_in_words() -> None:
    with pytest.raises(LedgerError, match="cannot use x: oh no"), translate_errors("x"):
        raise sqlite3.OperationalError("oh no")
