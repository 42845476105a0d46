"""A ledger as an SQLite database: opened for reading, its errors in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from unmask.archive.schema import check
from unmask.errors import LedgerError


@contextmanager
def translate_errors(name: str) -> Iterator[None]:
    """Turns SQLite's errors into a LedgerError."""
    try:
        yield
    except sqlite3.Error as error:
        words = str(error)
        if "disk is full" in words or "disk I/O" in words:
            words += "; results so far are safe: make room, and give the same command again"
        elif "not a database" in words:
            words = "it is not a ledger, nor any SQLite database; name another file"
        raise LedgerError(f"cannot use {name}: {words}") from error


def read_ledger(path: Path) -> sqlite3.Connection:
    """A ledger for reading only, also while another process writes.

    Raises LedgerError.
    """
    if not path.is_file():
        raise LedgerError(f"there is no ledger {path}")
    with translate_errors(str(path)):
        database = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30, isolation_level=None
        )
        try:
            if check(database, str(path)) == 0:
                raise LedgerError(f"{path} is an empty file, not a ledger")
        except BaseException:
            database.close()
            raise
    database.row_factory = sqlite3.Row
    return database


def holder_of(path: Path | None) -> str:
    """Who that is, as far as the ledger says."""
    try:
        with closing(
            sqlite3.connect(f"{Path(path or '').absolute().as_uri()}?mode=ro", uri=True)
        ) as database:
            row = database.execute(
                "SELECT id, pid, host, started_at FROM runs ORDER BY id DESC LIMIT 1"
            ).fetchone()
    except sqlite3.Error:
        return ""
    return f" (run {row[0]}: process {row[1]} on {row[2]}, since {row[3]})" if row else ""
