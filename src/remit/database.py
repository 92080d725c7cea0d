"""Door: an SQLite file that several processes write, and that its owner alone can read.

It must lie on a local disk: SQLite's write-ahead log does not work over a network file system. A connection may be
used in another thread than the one that opened it, never in two at a time.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SWITCH_ATTEMPTS: Final = 50
_SWITCH_PAUSE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Schema:
    """The statements that make the tables, and the number by which a file of theirs is known (``user_version``)."""

    version: int
    create: tuple[str, ...]


class Database:
    """The file ``path``, open; made (mode 0600) where it is missing. ``seconds``: how long to wait for others' locks.

    Raises ``sqlite3.Error`` and ``OSError``, also for a file of another schema.
    """

    def __init__(self, path: Path, schema: Schema, *, seconds: float) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made here and not by SQLite, so that it is never readable by others; its companions copy the mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._path = path
        self._identity = identity(path)
        self.connection = connect(path, seconds=seconds)
        try:
            _use_write_ahead_log(self.connection)
            _make_or_check(self.connection, schema)
        except BaseException:
            self.connection.close()
            raise

    def check_in_place(self) -> None:
        """Raise ``OSError`` where the file was moved or replaced: what is written to it, nobody would find."""
        if identity(self._path) != self._identity:
            raise OSError(f"{self._path} was moved or replaced while it was open")

    def close(self) -> None:
        """Close the connection; whatever is open in it is rolled back."""
        self.connection.close()


def connect(path: Path, *, seconds: float) -> sqlite3.Connection:
    """Open a file that ``Database`` has made. One that is gone is not made anew. Raises ``sqlite3.Error``."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=seconds, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """``BEGIN IMMEDIATE`` … ``COMMIT``: nobody else writes between what is read in the block and what is written."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def identity(path: Path) -> tuple[int, int]:
    """Tells the file from any other that took its place. Raises ``OSError``."""
    status = path.stat()
    return status.st_dev, status.st_ino


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch the file's journal. SQLite itself does not wait for others that do the same at this moment."""
    for attempt in range(_SWITCH_ATTEMPTS):
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or attempt == _SWITCH_ATTEMPTS - 1:
                raise
            time.sleep(_SWITCH_PAUSE)
        else:
            if mode != "wal":
                raise sqlite3.OperationalError(f"no write-ahead log here, only {mode}")
            return


def _make_or_check(connection: sqlite3.Connection, schema: Schema) -> None:
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in schema.create:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {schema.version}")
        elif version != schema.version:
            raise sqlite3.DatabaseError(f"schema version {version}; this release knows {schema.version}")
