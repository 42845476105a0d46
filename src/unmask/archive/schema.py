"""The tables of a ledger, and how older ledgers become new ones."""

from __future__ import annotations

import sqlite3

from unmask.errors import LedgerError

APPLICATION_ID = (
    0x756E6D6B  # "unmk", in the file's header: tells a ledger from any other SQLite file
)

MIGRATIONS = (
    """
    CREATE TABLE setups (      -- what judges: a bundle and settings
        id INTEGER PRIMARY KEY,
        model_name TEXT NOT NULL, model_version TEXT NOT NULL, model_sha256 TEXT NOT NULL,
        settings TEXT NOT NULL,                       -- JSON, as in reports
        digest TEXT NOT NULL UNIQUE                   -- sha-256 of bundle's and settings' digests
    );
    CREATE TABLE runs (        -- each `unmask scan` on this ledger
        id INTEGER PRIMARY KEY,
        -- UTC, by this machine's clock: to be shown, never compared
        started_at TEXT NOT NULL, ended_at TEXT,
        how TEXT,                                     -- done, stopped, failed; else NULL
        setup INTEGER NOT NULL REFERENCES setups,
        roots TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL
    );
    CREATE TABLE files (       -- each path
        id INTEGER PRIMARY KEY,
        path TEXT NOT NULL,                           -- as reports show it
        raw BLOB NOT NULL DEFAULT x'',                -- its bytes, where they are not UTF-8
        folder TEXT NOT NULL,
        size INTEGER, modified_at TEXT,
        stamp TEXT NOT NULL,                          -- another one: the file has changed
        sha256 TEXT,
        state TEXT NOT NULL
            CHECK (state IN ('pending', 'under_way', 'judged', 'failed', 'postponed')),
        why TEXT NOT NULL,                            -- why it is or was to be judged
        setup INTEGER REFERENCES setups,              -- whose judgement of sha256 holds
        error_kind TEXT, error_message TEXT,          -- of a postponed file
        rank REAL NOT NULL DEFAULT 0,                 -- the lower, the sooner
        run INTEGER NOT NULL REFERENCES runs,         -- the last one that saw it
        gone INTEGER NOT NULL DEFAULT 0,              -- a later run did not find it any more
        UNIQUE (path, raw)
    );
    CREATE INDEX files_due ON files (run, rank, id) WHERE state = 'pending';
    CREATE INDEX files_under_way ON files (id) WHERE state = 'under_way';
    CREATE TABLE judgements (  -- each content, by each setup
        sha256 TEXT NOT NULL, setup INTEGER NOT NULL REFERENCES setups,
        kind TEXT, duration_s REAL,
        label TEXT, probability_fake REAL, reasons TEXT,
        error_kind TEXT, error_message TEXT,          -- of a content that cannot be judged
        run INTEGER NOT NULL REFERENCES runs, judged_at TEXT NOT NULL,
        fetch_s REAL, decode_s REAL, find_s REAL, score_s REAL, evidence_s REAL, total_s REAL,
        PRIMARY KEY (sha256, setup),
        CHECK ((label IS NULL) <> (error_kind IS NULL))
    ) WITHOUT ROWID;
    CREATE TABLE reports (     -- apart, so that counting verdicts does not read them
        sha256 TEXT NOT NULL, setup INTEGER NOT NULL, report TEXT NOT NULL, -- JSON, unmask.report/1
        PRIMARY KEY (sha256, setup), FOREIGN KEY (sha256, setup) REFERENCES judgements
    );
    CREATE VIEW results AS
        SELECT f.id, f.path, f.folder, f.size, f.modified_at, f.sha256, f.state, f.why, f.gone,
            j.kind, j.duration_s, j.label, j.probability_fake, j.reasons,
            coalesce(f.error_kind, j.error_kind) AS error_kind,
            coalesce(f.error_message, j.error_message) AS error_message,
            j.judged_at, j.total_s, s.model_name, s.model_version, s.model_sha256, s.settings,
            f.setup, f.run
        FROM files f
        LEFT JOIN judgements j ON j.sha256 = f.sha256 AND j.setup = f.setup
        LEFT JOIN setups s ON s.id = f.setup;
    """,
    """
    ALTER TABLE runs ADD COLUMN passed_over TEXT;  -- JSON: kind of file, how many
    """,
)
"""The n-th makes a ledger of version n from one of version n - 1. What has been released is never
changed."""


def migrate(database: sqlite3.Connection, name: str) -> None:
    """Bring a ledger, or an empty file, to the newest version; all of it or nothing.

    Raises LedgerError for a newer ledger and for a database that is none.
    """
    version = check(database, name)
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
        database.executescript(f"BEGIN IMMEDIATE; {script}; {marks} COMMIT;")


def check(database: sqlite3.Connection, name: str) -> int:
    """The version of a ledger, 0 for an empty database.

    Raises LedgerError where this unmask cannot use it.
    """
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (application,) = database.execute("PRAGMA application_id").fetchone()
    empty = not database.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
    if not empty and application != APPLICATION_ID:
        raise LedgerError(
            f"{name} is an SQLite database, but not a ledger of unmask; name another file"
        )
    if version > len(MIGRATIONS):
        raise LedgerError(
            f"{name} is a ledger of version {version}, made by a newer unmask; this one knows"
            f" versions up to {len(MIGRATIONS)}: update unmask, or name another file"
        )
    return 0 if empty else int(version)
