"""The ledger of an archive: which files there are, and what was judged of each.

One SQLite file.

A file is known by its path, a judgement by the content (sha-256) and by what judged it, so the same
bytes are judged once wherever they lie. Each method that writes is one transaction: a process
killed at any moment leaves it whole. One process at a time writes, which a lock of the operating
system sees to: it ends with its holder, however that ends.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from unmask._internal.names import folder_and_prefix
from unmask.archive.database import holder_of, translate_errors
from unmask.archive.model import Cause, Entry, Outcome, ScanPass, decode_path, encode_path
from unmask.archive.rows import JUDGEMENT_COLUMNS, entry_row, judgement_row, now_utc
from unmask.archive.schema import migrate
from unmask.errors import LedgerError
from unmask.report.json import settings_json

NEVER = -1
"""No setup's number."""

_UPSERT = """
INSERT INTO files (path, raw, folder, size, modified_at, stamp, state, why, rank, run)
VALUES (:path, :raw, :folder, :size, :modified_at, :stamp, 'pending', 'new', :rank, :run)
ON CONFLICT (path, raw) DO UPDATE SET
    (state, why) = (SELECT
        CASE WHEN due IS NULL THEN files.state ELSE 'pending' END,
        coalesce(due, files.why)
    FROM (
        SELECT CASE
            WHEN files.stamp <> excluded.stamp AND :changed THEN 'changed'
            WHEN files.state IN ('pending', 'under_way') THEN files.why
            WHEN files.state = 'postponed' AND :passing THEN 'passing'
            WHEN files.state = 'failed' AND :failed THEN 'failed'
            WHEN :all THEN 'all'
            WHEN files.state = 'judged' AND files.setup NOT IN (:first, :full) AND :model
                THEN 'model'
        END AS due)),
    sha256 = CASE WHEN files.stamp <> excluded.stamp AND :changed THEN NULL ELSE files.sha256 END,
    stamp = CASE WHEN :changed THEN excluded.stamp ELSE files.stamp END,
    size = excluded.size, modified_at = excluded.modified_at,
    rank = excluded.rank, run = excluded.run, gone = 0
WHERE files.run <> excluded.run -- listed twice, as where roots overlap: it may be under way by now
"""


_BELOW = "NOT gone AND (folder = ? OR substr(folder, 1, ?) = ?)"


class Ledger:
    """Open for writing; of one process at a time.

    Use as a context manager.

    Raises LedgerError: another process is at work on it, it is newer than this unmask, no ledger,
    or cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        """- path: None for one in memory, gone with this object"""
        self.name = str(path) if path is not None else "the ledger in memory"
        self._lock = FileLock(f"{path}-lock") if path is not None else None
        self.run = 0
        self._configurations: dict[str, int] = {}
        try:
            if self._lock is not None:
                self._lock.acquire(timeout=0)
        except Timeout as error:
            raise LedgerError(
                f"another process is using {self.name}{holder_of(path)}; wait until it has finished"
            ) from error
        except OSError as error:
            raise LedgerError(
                f"cannot write beside {self.name}: {error.strerror or error}"
            ) from error
        try:
            with self._translate_errors():
                self._db = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=30)
                migrate(self._db, self.name)
                self._db.execute("PRAGMA journal_mode = WAL")
                # a crash of the process loses nothing
                self._db.execute("PRAGMA synchronous = NORMAL")
                self._db.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the ledger and release its lock."""
        if hasattr(self, "_db"):
            self._db.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, passes: Mapping[str, ScanPass], roots: Sequence[str]) -> None:
        """A new run.

        - passes: by name, `full` among them

        Files that a killed run was judging are queued again.
        """
        with self._transaction() as db:
            for name, scan_pass in passes.items():
                settings = settings_json(scan_pass.settings)
                digest = sha256(f"{scan_pass.id.sha256} {settings['sha256']}".encode()).hexdigest()
                values = (
                    scan_pass.id.name,
                    scan_pass.id.version,
                    scan_pass.id.sha256,
                    json.dumps(settings),
                    digest,
                )
                db.execute(
                    "INSERT OR IGNORE INTO setups (model_name, model_version, model_sha256,"
                    " settings, digest) VALUES (?, ?, ?, ?, ?)",
                    values,
                )
                self._configurations[name] = db.execute(
                    "SELECT id FROM setups WHERE digest = ?", (digest,)
                ).fetchone()[0]
            self.run = db.execute(
                "INSERT INTO runs (started_at, setup, roots, host, pid) VALUES (?, ?, ?, ?, ?)"
                " RETURNING id",
                (
                    now_utc(),
                    self._configurations["full"],
                    json.dumps([encode_path(root)[0] for root in roots]),
                    socket.gethostname(),
                    os.getpid(),
                ),
            ).fetchone()[0]
            db.execute("UPDATE files SET state = 'pending' WHERE state = 'under_way'")

    def end(self, how: str, passed_over: Mapping[str, int]) -> None:
        """The run is over: `done`, `stopped` or `failed`.

        Files in progress are queued again.

        - passed_over: files that are no pictures or videos, by kind
        """
        with self._transaction() as db:
            db.execute("UPDATE files SET state = 'pending' WHERE state = 'under_way'")
            db.execute(
                "UPDATE runs SET ended_at = ?, how = ?, passed_over = ? WHERE id = ?",
                (now_utc(), how, json.dumps(dict(passed_over)), self.run),
            )

    def upsert(self, entries: Iterable[tuple[Entry, float]], again: frozenset[Cause]) -> None:
        """Record listed files, each with its rank, and which of them are to be judged.

        New ones are, and known ones for the causes in `again`.
        """
        flags = {
            why.value: why in again
            for why in (Cause.CHANGED, Cause.TRANSIENT, Cause.FAILED, Cause.MODEL, Cause.ALL)
        }
        common = flags | {
            "run": self.run,
            "full": self._configurations["full"],
            "first": self._configurations.get("first", NEVER),
        }
        with self._transaction() as db:
            db.executemany(_UPSERT, (common | entry_row(entry, rank) for entry, rank in entries))

    def reuse(self) -> int:
        """Link files to earlier judgements of the current configuration; returns how many."""
        with self._transaction() as db:
            return db.execute(
                "UPDATE files SET setup = j.setup, state = CASE WHEN j.label IS NULL THEN 'failed'"
                " ELSE 'judged' END FROM judgements j WHERE files.run = ? AND files.state ="
                " 'pending' AND files.why = 'model' AND j.sha256 = files.sha256 AND j.setup = ?",
                (self.run, self._configurations["full"]),
            ).rowcount

    def mark_missing(self, root: str) -> int:
        """Mark files below this root that this run has not seen as gone; returns how many."""
        with self._transaction() as db:
            return db.execute(
                f"UPDATE files SET gone = 1 WHERE run <> ? AND {_BELOW}", (self.run, *_below(root))
            ).rowcount

    def known_below(self, root: str) -> int:
        """How many files below this root earlier runs have seen, those gone left out."""
        return int(
            self._db.execute(f"SELECT count(*) FROM files WHERE {_BELOW}", _below(root)).fetchone()[
                0
            ]
        )

    def claim(self, count: int) -> list[tuple[int, str, str, int | None, str]]:
        """Take at most `count` due files into progress: number, path, stamp, size, cause."""
        with self._transaction() as db:
            rows = db.execute(
                "UPDATE files SET state = 'under_way' WHERE id IN (SELECT id FROM files WHERE run"
                " = ? AND state = 'pending' ORDER BY rank, id LIMIT ?) RETURNING id, path, raw,"
                " stamp, size, why, rank",
                (self.run, count),
            ).fetchall()
        rows.sort(key=lambda row: (row[6], row[0]))
        return [
            (number, decode_path(path, raw), stamp, size, why)
            for number, path, raw, stamp, size, why, _ in rows
        ]

    def release(self, files: Iterable[int]) -> None:
        """Queue files to be judged after all, in this run."""
        with self._transaction() as db:
            db.executemany(
                "UPDATE files SET state = 'pending' WHERE id = ?", ((file,) for file in files)
            )

    def judged(self, digest: str, scan_pass: str) -> int | None:
        """The run in which this content was judged in this pass, if it was."""
        query = "SELECT run FROM judgements WHERE sha256 = ? AND setup = ?"
        row = self._db.execute(query, (digest, self._configurations[scan_pass])).fetchone()
        return None if row is None else int(row[0])

    def digests(self, scan_pass: str) -> Iterator[str]:
        """Of all contents that were judged in this pass."""
        query = "SELECT sha256 FROM judgements WHERE setup = ?"
        yield from (row[0] for row in self._db.execute(query, (self._configurations[scan_pass],)))

    def link(self, files: Sequence[int], digest: str, scan_pass: str) -> None:
        """Record that files have this content, which has been judged."""
        with self._transaction() as db:
            self._link(db, files, digest, scan_pass)

    def record(self, outcome: Outcome, files: Sequence[int]) -> None:
        """Record the outcome of a content, for these files that have it."""
        if outcome.sha256 is None:
            raise ValueError("a judgement is one of a content, but the outcome has no sha-256")
        values = (
            outcome.sha256,
            self._configurations[outcome.scan_pass],
            *judgement_row(outcome, self.run).values(),
        )
        names = ", ".join(("sha256", "setup", *JUDGEMENT_COLUMNS))
        marks = ", ".join("?" * len(values))
        with self._transaction() as db:
            db.execute("DELETE FROM reports WHERE sha256 = ? AND setup = ?", values[:2])
            db.execute(f"INSERT OR REPLACE INTO judgements ({names}) VALUES ({marks})", values)
            if outcome.report is not None:
                text = json.dumps(
                    outcome.report, ensure_ascii=False, allow_nan=False, separators=(",", ":")
                )
                db.execute("INSERT INTO reports VALUES (?, ?, ?)", (*values[:2], text))
            self._link(db, files, outcome.sha256, outcome.scan_pass)

    def fail(self, outcome: Outcome) -> None:
        """Record that a file could not be read.

        For a temporary cause it is postponed to the next run.
        """
        state = "postponed" if outcome.transient else "failed"
        with self._transaction() as db:
            db.execute(
                "UPDATE files SET state = ?, error_kind = ?, error_message = ? WHERE id = ?",
                (state, outcome.error_kind, outcome.error_message, outcome.file),
            )

    def promote(self, share: float) -> tuple[int, int]:
        """Queue the most suspicious share of the files of the first pass to be judged in full.

        Returns how many will be, and how many had a first pass in all. Files without a face count
        as 0.5.

        Where a first look saw no face, it counts as 0.5.
        """
        first, full = self._configurations["first"], self._configurations["full"]
        with self._transaction() as db:
            (looked,) = db.execute(
                "SELECT count(*) FROM files f JOIN judgements j ON j.sha256 = f.sha256 AND j.setup"
                " = ? WHERE f.run = ? AND j.label IS NOT NULL AND f.state = 'judged'",
                (first, self.run),
            ).fetchone()
            rows = db.execute(
                "SELECT f.id, f.setup, coalesce(j.probability_fake, 0.5) AS p FROM files f JOIN"
                " judgements j ON j.sha256 = f.sha256 AND j.setup = ? WHERE f.run = ? AND j.label"
                " IS NOT NULL AND f.state = 'judged' ORDER BY p DESC, f.id LIMIT ?",
                (first, self.run, round(share * looked)),
            ).fetchall()
            chosen = [(-p, number) for number, configuration, p in rows if configuration != full]
            db.executemany(
                "UPDATE files SET state = 'pending', why = 'suspected', rank = ? WHERE id = ?",
                chosen,
            )
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
        query = (
            "SELECT path, raw, coalesce(size, 0) FROM files WHERE run = ? AND state = 'pending'"
            " ORDER BY rank, id"
        )
        return [
            (decode_path(path, raw), size)
            for path, raw, size in self._db.execute(query, (self.run,))
        ]

    def rates(self) -> dict[str, tuple[int, float]]:
        """By kind: how many contents the full pass has judged, and their mean seconds of work."""
        query = (
            "SELECT kind, count(*), avg(coalesce(total_s, 0) + coalesce(fetch_s, 0)) FROM"
            " judgements WHERE setup = ? AND kind IS NOT NULL GROUP BY kind"
        )
        return {
            kind: (count, mean)
            for kind, count, mean in self._db.execute(query, (self._configurations["full"],))
        }

    def _link(
        self, db: sqlite3.Connection, files: Sequence[int], digest: str, scan_pass: str
    ) -> None:
        configuration = self._configurations[scan_pass]
        (label,) = db.execute(
            "SELECT label FROM judgements WHERE sha256 = ? AND setup = ?", (digest, configuration)
        ).fetchone()
        state = "failed" if label is None else "judged"
        db.executemany(
            "UPDATE files SET sha256 = ?, setup = ?, state = ?, error_kind = NULL, error_message ="
            " NULL WHERE id = ?",
            ((digest, configuration, state, file) for file in files),
        )

    @contextmanager
    def dry_run(self) -> Iterator[None]:
        """A dry run: all that is written within is undone at its end."""
        with self._translate_errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                self._db.execute("ROLLBACK")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing; within a dry run, a part of that."""
        with self._translate_errors():
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
    def _translate_errors(self) -> Iterator[None]:
        with translate_errors(self.name):
            yield


def _below(root: str) -> tuple[str, int, str]:
    """The values of _BELOW."""
    folder, prefix = folder_and_prefix(encode_path(root)[0])
    return folder, len(prefix), prefix
