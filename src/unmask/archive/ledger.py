"""The ledger of an archive: which files there are, and what was judged of each. One SQLite file.

A file is known by its path, a judgement by the content (sha-256) and by what judged it, so the same bytes are judged
once wherever they lie. Each method that writes is one transaction: a process killed at any moment leaves it whole. One
process at a time writes, which a lock of the operating system sees to: it ends with its holder, however that ends.
"""

from __future__ import annotations

import datetime
import json
import os
import socket
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from unmask.archive.schema import check, migrate
from unmask.archive.words import Entry, Look, Outcome, Why, shown, unshown
from unmask.errors import LedgerError
from unmask.report.data import settings_json

NEVER = -1
"""No setup's number."""

_SEE = """
INSERT INTO files (path, raw, folder, size, modified_at, stamp, state, why, rank, run)
VALUES (:path, :raw, :folder, :size, :modified_at, :stamp, 'pending', 'new', :rank, :run)
ON CONFLICT (path, raw) DO UPDATE SET
    (state, why) = (SELECT CASE WHEN due IS NULL THEN files.state ELSE 'pending' END, coalesce(due, files.why) FROM (
        SELECT CASE
            WHEN files.stamp <> excluded.stamp AND :changed THEN 'changed'
            WHEN files.state IN ('pending', 'under_way') THEN files.why
            WHEN files.state = 'postponed' AND :passing THEN 'passing'
            WHEN files.state = 'failed' AND :failed THEN 'failed'
            WHEN :all THEN 'all'
            WHEN files.state = 'judged' AND files.setup NOT IN (:first, :full) AND :model THEN 'model'
        END AS due)),
    sha256 = CASE WHEN files.stamp <> excluded.stamp AND :changed THEN NULL ELSE files.sha256 END,
    stamp = CASE WHEN :changed THEN excluded.stamp ELSE files.stamp END,
    size = excluded.size, modified_at = excluded.modified_at, rank = excluded.rank, run = excluded.run, gone = 0
WHERE files.run <> excluded.run -- listed twice, as where roots overlap: it may be under way by now
"""

_JUDGEMENT = (
    "kind", "duration_s", "label", "probability_fake", "reasons", "error_kind", "error_message", "run", "judged_at",
    "fetch_s", "decode_s", "find_s", "score_s", "evidence_s", "total_s",
)  # fmt: skip


_BELOW = "NOT gone AND (folder = ? OR substr(folder, 1, ?) = ?)"


class Ledger:
    """Open for writing; of one process at a time. Use as a context manager.

    Raises LedgerError: another process is at work on it, it is newer than this unmask, no ledger, or cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        """path: None for one in memory, gone with this object."""
        self.name = str(path) if path is not None else "the ledger in memory"
        self._lock = FileLock(f"{path}-lock") if path is not None else None
        self.run = 0
        self._setups: dict[str, int] = {}
        try:
            if self._lock is not None:
                self._lock.acquire(timeout=0)
        except Timeout as error:
            raise LedgerError(f"another process is at work on {self.name}{_holder(path)}; wait for it") from error
        except OSError as error:
            raise LedgerError(f"cannot write beside {self.name}: {error.strerror or error}") from error
        try:
            with self._told():
                self._db = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=30)
                migrate(self._db, self.name)
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")  # a crash of the process loses nothing
                self._db.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of it."""
        if hasattr(self, "_db"):
            self._db.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, looks: Mapping[str, Look], roots: Sequence[str]) -> None:
        """A new run. looks: by name, `full` among them. What a killed run was at is to be judged again."""
        with self._transaction() as db:
            for name, look in looks.items():
                settings = settings_json(look.settings)
                digest = sha256(f"{look.id.sha256} {settings['sha256']}".encode()).hexdigest()
                values = (look.id.name, look.id.version, look.id.sha256, json.dumps(settings), digest)
                db.execute(
                    "INSERT OR IGNORE INTO setups (model_name, model_version, model_sha256, settings, digest)"
                    " VALUES (?, ?, ?, ?, ?)",
                    values,
                )
                self._setups[name] = db.execute("SELECT id FROM setups WHERE digest = ?", (digest,)).fetchone()[0]
            self.run = db.execute(
                "INSERT INTO runs (started_at, setup, roots, host, pid) VALUES (?, ?, ?, ?, ?) RETURNING id",
                (
                    _now(),
                    self._setups["full"],
                    json.dumps([shown(root)[0] for root in roots]),
                    socket.gethostname(),
                    os.getpid(),
                ),
            ).fetchone()[0]
            db.execute("UPDATE files SET state = 'pending' WHERE state = 'under_way'")

    def end(self, how: str) -> None:
        """The run is over: `done`, `stopped` or `failed`. What is still under way is not any more."""
        with self._transaction() as db:
            db.execute("UPDATE files SET state = 'pending' WHERE state = 'under_way'")
            db.execute("UPDATE runs SET ended_at = ?, how = ? WHERE id = ?", (_now(), how, self.run))

    def see(self, entries: Iterable[tuple[Entry, float]], again: frozenset[Why]) -> None:
        """Write down listed files, each with its rank, and which of them are to be judged: new ones, and known ones for
        the reasons in `again`."""
        flags = {why.value: why in again for why in (Why.CHANGED, Why.PASSING, Why.FAILED, Why.MODEL, Why.ALL)}
        common = flags | {
            "run": self.run,
            "full": self._setups["full"],
            "first": self._setups.get("first", NEVER),
        }
        with self._transaction() as db:
            db.executemany(_SEE, (common | _row(entry, rank) for entry, rank in entries))

    def reuse(self) -> int:
        """Files to be judged by another bundle than before that were judged by it already, at some time: how many."""
        with self._transaction() as db:
            return db.execute(
                "UPDATE files SET setup = j.setup, state = CASE WHEN j.label IS NULL THEN 'failed' ELSE 'judged' END"
                " FROM judgements j WHERE files.run = ? AND files.state = 'pending' AND files.why = 'model'"
                " AND j.sha256 = files.sha256 AND j.setup = ?",
                (self.run, self._setups["full"]),
            ).rowcount

    def lose(self, root: str) -> int:
        """Mark the files below this root that this run has not seen as gone, and tell how many are."""
        with self._transaction() as db:
            return db.execute(
                f"UPDATE files SET gone = 1 WHERE run <> ? AND {_BELOW}", (self.run, *_below(root))
            ).rowcount

    def known_below(self, root: str) -> int:
        """How many files below this root earlier runs have seen and not lost."""
        return int(self._db.execute(f"SELECT count(*) FROM files WHERE {_BELOW}", _below(root)).fetchone()[0])

    def claim(self, count: int) -> list[tuple[int, str, str, int | None, str]]:
        """At most `count` files that are due, now under way: number, path, stamp, size, why."""
        with self._transaction() as db:
            rows = db.execute(
                "UPDATE files SET state = 'under_way' WHERE id IN ("
                "SELECT id FROM files WHERE run = ? AND state = 'pending' ORDER BY rank, id LIMIT ?)"
                " RETURNING id, path, raw, stamp, size, why, rank",
                (self.run, count),
            ).fetchall()
        rows.sort(key=lambda row: (row[6], row[0]))
        return [(number, unshown(path, raw), stamp, size, why) for number, path, raw, stamp, size, why, _ in rows]

    def release(self, files: Iterable[int]) -> None:
        """They are to be judged after all, in this run."""
        with self._transaction() as db:
            db.executemany("UPDATE files SET state = 'pending' WHERE id = ?", ((file,) for file in files))

    def judged(self, digest: str, look: str) -> int | None:
        """The run in which this content was judged by this look, if it was."""
        query = "SELECT run FROM judgements WHERE sha256 = ? AND setup = ?"
        row = self._db.execute(query, (digest, self._setups[look])).fetchone()
        return None if row is None else int(row[0])

    def digests(self, look: str) -> Iterator[str]:
        """Of all contents that were judged by this look."""
        query = "SELECT sha256 FROM judgements WHERE setup = ?"
        yield from (row[0] for row in self._db.execute(query, (self._setups[look],)))

    def link(self, files: Sequence[int], digest: str, look: str) -> None:
        """The files have this content, which is judged."""
        with self._transaction() as db:
            self._link(db, files, digest, look)

    def record(self, outcome: Outcome, files: Sequence[int]) -> None:
        """Write down what came of a content, for these files that have it."""
        if outcome.sha256 is None:
            raise ValueError("a judgement is one of a content, but the outcome has no sha-256")
        values = (outcome.sha256, self._setups[outcome.look], *_judgement(outcome, self.run).values())
        names = ", ".join(("sha256", "setup", *_JUDGEMENT))
        marks = ", ".join("?" * len(values))
        with self._transaction() as db:
            db.execute("DELETE FROM reports WHERE sha256 = ? AND setup = ?", values[:2])
            db.execute(f"INSERT OR REPLACE INTO judgements ({names}) VALUES ({marks})", values)
            if outcome.report is not None:
                text = json.dumps(outcome.report, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
                db.execute("INSERT INTO reports VALUES (?, ?, ?)", (*values[:2], text))
            self._link(db, files, outcome.sha256, outcome.look)

    def fail(self, outcome: Outcome) -> None:
        """The file could not be read to its content's digest, or not as it is; for a reason that may pass it is
        postponed to the next run."""
        state = "postponed" if outcome.passing else "failed"
        with self._transaction() as db:
            db.execute(
                "UPDATE files SET state = ?, error_kind = ?, error_message = ? WHERE id = ?",
                (state, outcome.error_kind, outcome.error_message, outcome.file),
            )

    def promote(self, share: float) -> tuple[int, int]:
        """Of the files that this run saw and that had a first look, let the most suspected share be judged in full: how
        many will be, and how many had a first look in all. Where a first look saw no face, it counts as 0.5."""
        first, full = self._setups["first"], self._setups["full"]
        with self._transaction() as db:
            (looked,) = db.execute(
                "SELECT count(*) FROM files f JOIN judgements j ON j.sha256 = f.sha256 AND j.setup = ?"
                " WHERE f.run = ? AND j.label IS NOT NULL AND f.state = 'judged'",
                (first, self.run),
            ).fetchone()
            rows = db.execute(
                "SELECT f.id, f.setup, coalesce(j.probability_fake, 0.5) AS p FROM files f"
                " JOIN judgements j ON j.sha256 = f.sha256 AND j.setup = ?"
                " WHERE f.run = ? AND j.label IS NOT NULL AND f.state = 'judged' ORDER BY p DESC, f.id LIMIT ?",
                (first, self.run, round(share * looked)),
            ).fetchall()
            chosen = [(-p, number) for number, setup, p in rows if setup != full]
            db.executemany("UPDATE files SET state = 'pending', why = 'suspected', rank = ? WHERE id = ?", chosen)
        return len(chosen), int(looked)

    def counts(self) -> dict[str, int]:
        """How many files that this run saw are in each state."""
        query = "SELECT state, count(*) FROM files WHERE run = ? GROUP BY state"
        return dict(self._db.execute(query, (self.run,)).fetchall())

    def unsettled(self) -> int:
        """How many files of this run are still to be judged."""
        counts = self.counts()
        return counts.get("pending", 0) + counts.get("under_way", 0)

    def due(self) -> list[tuple[str, int]]:
        """Path and number of bytes of each file of this run that is still to be judged."""
        query = "SELECT path, raw, coalesce(size, 0) FROM files WHERE run = ? AND state = 'pending' ORDER BY rank, id"
        return [(unshown(path, raw), size) for path, raw, size in self._db.execute(query, (self.run,))]

    def rates(self) -> dict[str, tuple[int, float]]:
        """By kind: how many contents the full look has judged, and the mean seconds of work for one."""
        query = (
            "SELECT kind, count(*), avg(coalesce(total_s, 0) + coalesce(fetch_s, 0)) FROM judgements"
            " WHERE setup = ? AND kind IS NOT NULL GROUP BY kind"
        )
        return {kind: (count, mean) for kind, count, mean in self._db.execute(query, (self._setups["full"],))}

    def _link(self, db: sqlite3.Connection, files: Sequence[int], digest: str, look: str) -> None:
        setup = self._setups[look]
        (label,) = db.execute("SELECT label FROM judgements WHERE sha256 = ? AND setup = ?", (digest, setup)).fetchone()
        state = "failed" if label is None else "judged"
        db.executemany(
            "UPDATE files SET sha256 = ?, setup = ?, state = ?, error_kind = NULL, error_message = NULL WHERE id = ?",
            ((digest, setup, state, file) for file in files),
        )

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """All that is written within is taken back at its end."""
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                self._db.execute("ROLLBACK")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing; in a rehearsal, a part of that."""
        with self._told():
            self._db.execute("SAVEPOINT step")  # outside of a transaction this begins one
            try:
                yield self._db
                self._db.execute("RELEASE step")
            except BaseException:
                if self._db.in_transaction:  # a full disk may have ended it already
                    self._db.execute("ROLLBACK TO step")
                    self._db.execute("RELEASE step")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        with told(self.name):
            yield


@contextmanager
def told(name: str) -> Iterator[None]:
    """Turns SQLite's errors into a LedgerError."""
    try:
        yield
    except sqlite3.Error as error:
        words = str(error)
        if "disk is full" in words or "disk I/O" in words:
            words += "; what was written so far is whole: make room, and give the same command again"
        elif "not a database" in words:
            words = "it is no ledger, nor any SQLite database; name another file"
        raise LedgerError(f"cannot use {name}: {words}") from error


def read_ledger(path: Path) -> sqlite3.Connection:
    """A ledger for reading only, also while another process writes. Raises LedgerError."""
    if not path.is_file():
        raise LedgerError(f"there is no ledger {path}")
    with told(str(path)):
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30, isolation_level=None)
        try:
            if check(database, str(path)) == 0:
                raise LedgerError(f"{path} is an empty file, no ledger")
        except BaseException:
            database.close()
            raise
    database.row_factory = sqlite3.Row
    return database


def _below(root: str) -> tuple[str, int, str]:
    """The values of _BELOW."""
    folder = shown(root)[0].rstrip("/")
    return folder, len(folder) + 1, folder + "/"


def _row(entry: Entry, rank: float) -> dict[str, Any]:
    path, raw = shown(entry.path)
    modified = entry.modified_s
    return {
        "path": path,
        "raw": raw,
        "folder": shown(entry.folder)[0],
        "size": entry.size,
        "modified_at": None if modified is None else _utc(modified),
        "stamp": entry.stamp,
        "rank": rank,
    }


def _judgement(outcome: Outcome, run: int) -> dict[str, Any]:
    """The values of _JUDGEMENT, in its order."""
    report = outcome.report or {}
    media, verdict, timing = (report.get(key, {}) for key in ("media", "verdict", "timing_s"))
    found = {
        "kind": media.get("kind"),
        "duration_s": media.get("duration_s"),
        "label": verdict.get("label"),
        "probability_fake": verdict.get("probability_fake"),
        "reasons": " ".join(verdict["reasons"]) if verdict else None,
        "error_kind": outcome.error_kind,
        "error_message": outcome.error_message,
        "run": run,
        "judged_at": _now(),
        "fetch_s": round(outcome.fetch_s, 6),
        **{f"{stage}_s": timing.get(stage) for stage in ("decode", "find", "score", "evidence", "total")},
    }
    return {name: found[name] for name in _JUDGEMENT}


def _holder(path: Path | None) -> str:
    """Who that is, as far as the ledger says."""
    try:
        with closing(sqlite3.connect(f"{Path(path or '').absolute().as_uri()}?mode=ro", uri=True)) as database:
            row = database.execute("SELECT id, pid, host, started_at FROM runs ORDER BY id DESC LIMIT 1").fetchone()
    except sqlite3.Error:
        return ""
    return f" (run {row[0]}: process {row[1]} on {row[2]}, since {row[3]})" if row else ""


def _utc(seconds: float) -> str | None:
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return None  # a clock that was far off


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
