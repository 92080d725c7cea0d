"""Door: revocations in one SQLite file that several processes write and follow.

Rows are only ever added, and dropped once their time has passed; lifting one is a row as well.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from remit.database import Database, Schema, connect, identity, transaction
from remit.errors import SettingsInvalid, StateInvalid
from remit.sts.revocation.entry import Kind, Order, Revocation

_SCHEMA: Final = Schema(
    1,
    (
        """CREATE TABLE revocations (
             id INTEGER PRIMARY KEY AUTOINCREMENT,
             at INTEGER NOT NULL,
             kind TEXT NOT NULL,
             value TEXT NOT NULL,
             until INTEGER,
             reason TEXT NOT NULL,
             by TEXT NOT NULL
           ) STRICT""",
        "CREATE INDEX revocations_by ON revocations (by)",
    ),
)
_WRITE_SECONDS: Final = 5.0
_READ_SECONDS: Final = 0.1  # a reader of a write-ahead log waits for nobody


@dataclass(frozen=True, slots=True)
class News:
    """Revocations that were not seen before; ``anew``: and nothing else counts, for the file is another one."""

    anew: bool
    revocations: tuple[Revocation, ...]


class RevocationFile:
    """The file ``path``, made (mode 0600) where it is missing. Raises ``StateInvalid`` where it cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: sqlite3.Connection | None = None
        self._identity = (0, 0)
        self._data_version = -1
        self._seen = 0
        with self._faults():
            Database(path, _SCHEMA, seconds=_WRITE_SECONDS).close()

    def add(self, order: Order, *, now: float, at_most: int | None = None) -> Revocation:
        """Durable on return. ``at_most``: refuse where so many by the same party count already."""
        with (
            self._faults(),
            closing(connect(self._path, seconds=_WRITE_SECONDS)) as connection,
            transaction(connection),
        ):
            connection.execute("DELETE FROM revocations WHERE until < ?", (int(now),))
            if at_most is not None:
                (count,) = connection.execute("SELECT count(*) FROM revocations WHERE by = ?", (order.by,)).fetchone()
                if count >= at_most:
                    raise StateInvalid(f"{at_most} revocations by one party count already", where=str(self._path))
            row = (int(now), order.kind.value, order.value, order.until, order.reason, order.by)
            added = connection.execute(
                "INSERT INTO revocations (at, kind, value, until, reason, by) VALUES (?, ?, ?, ?, ?, ?)", row
            )
            return Revocation(added.lastrowid or 0, int(now), order)

    def news(self) -> News:
        """What was added since the last time, by anybody. Cheap where that is nothing."""
        try:
            with self._faults():
                return self._news()
        except StateInvalid:
            self.close()  # the next time begins anew
            raise

    def _news(self) -> News:
        found = identity(self._path)
        reader, anew = self._reader, found != self._identity
        if reader is None or anew:
            self.close()
            reader, anew = connect(self._path, seconds=_READ_SECONDS), True
            self._reader, self._identity, self._seen = reader, found, 0
        (data_version,) = reader.execute("PRAGMA data_version").fetchone()
        if not anew and data_version == self._data_version:
            return News(anew=False, revocations=())
        rows = reader.execute(
            "SELECT id, at, kind, value, until, reason, by FROM revocations WHERE id > ? ORDER BY id", (self._seen,)
        ).fetchall()
        self._data_version = data_version
        self._seen = rows[-1][0] if rows else self._seen
        return News(anew, tuple(_revocation(*row) for row in rows))

    def close(self) -> None:
        """Close the reading side; it is opened anew where it is needed."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError, SettingsInvalid) as error:
            raise StateInvalid(
                "the revocations cannot be read or written",
                where=str(self._path),
                detail=f"{type(error).__name__}: {error}",
                hint=f"make {self._path.parent} a writable directory on a local disk",
            ) from error


def _revocation(id_: int, at: int, kind: str, value: str, *rest: Any) -> Revocation:
    until, reason, by = rest
    return Revocation(id_, at, Order(Kind(kind), value, until, reason, by))
