"""Rule: the SQLite file's schema, its version, and how a row becomes a record."""

from __future__ import annotations

from typing import Any, Final

from remit.audit.chain import StoredRecord
from remit.database import Schema

#: ``PRAGMA user_version`` of a file this release reads and writes.
VERSION: Final = 1

#: ``body`` is text, so that SQLite's own JSON functions can query it.
SCHEMA: Final = Schema(
    VERSION,
    (
        """CREATE TABLE records (
             seq INTEGER PRIMARY KEY,
             call_id TEXT NOT NULL,
             kind TEXT NOT NULL,
             time_ms INTEGER NOT NULL,
             body TEXT NOT NULL,
             prev TEXT NOT NULL,
             hash TEXT NOT NULL
           ) STRICT""",
        "CREATE INDEX records_by_call ON records (call_id)",
    ),
)

COLUMNS: Final = "seq, call_id, kind, time_ms, body, prev, hash"
INSERT: Final = f"INSERT INTO records ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  constants only
SELECT: Final = f"SELECT {COLUMNS} FROM records"  # noqa: S608  constants only
SELECT_END: Final = "SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1"


def from_row(row: tuple[Any, ...]) -> StoredRecord:
    """A row as it lies there. A column that somebody gave another type stays wrong, for ``verify`` to find."""
    seq, call_id, kind, time_ms, body, prev, digest = row
    return StoredRecord(seq, call_id, kind, time_ms, str(body), prev, digest)


def to_row(record: StoredRecord) -> tuple[Any, ...]:
    """A record's columns, in the order of ``COLUMNS``."""
    return (record.seq, record.call_id, record.kind, record.time_ms, record.body, record.prev, record.hash)
