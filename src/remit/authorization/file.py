"""Door: the file of everything that the authorization server has to remember, shared by all processes.

Work on it is done by one thread of its own, so that nobody else waits for the disk, and each work is one write
transaction: of all processes that try the same thing at once, one comes first and the others see what it did.
No code, token or session id stands in it, only their SHA-256.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from remit.clock import Clock
from remit.database import Database, Schema, transaction
from remit.errors import StateInvalid

#: An authorization takes its refresh token along. ``until`` and ``expires_at``: seconds since the epoch.
_SCHEMA: Final = Schema(
    1,
    (
        """CREATE TABLE authorizations (
             id TEXT PRIMARY KEY,
             sub TEXT NOT NULL,
             issuer TEXT NOT NULL,
             client_id TEXT NOT NULL,
             document TEXT NOT NULL,
             granted_at INTEGER NOT NULL,
             expires_at INTEGER NOT NULL
           ) STRICT""",
        "CREATE INDEX authorizations_by_person ON authorizations (sub, issuer, granted_at)",
        "CREATE INDEX authorizations_by_time ON authorizations (expires_at)",
        """CREATE TABLE codes (
             digest BLOB PRIMARY KEY,
             document TEXT NOT NULL,
             authorization_id TEXT NOT NULL,
             used INTEGER NOT NULL,
             expires_at INTEGER NOT NULL
           ) STRICT""",
        "CREATE INDEX codes_by_time ON codes (expires_at)",
        "CREATE INDEX codes_by_authorization ON codes (authorization_id)",
        "CREATE INDEX codes_unused ON codes (expires_at) WHERE used = 0",
        """CREATE TABLE refresh_tokens (
             family BLOB PRIMARY KEY,
             authorization_id TEXT NOT NULL UNIQUE REFERENCES authorizations (id) ON DELETE CASCADE,
             digest BLOB NOT NULL,
             thumbprint TEXT NOT NULL
           ) STRICT""",
        """CREATE TABLE devices (
             digest BLOB PRIMARY KEY,
             user_code TEXT NOT NULL UNIQUE,
             client_id TEXT NOT NULL,
             document TEXT NOT NULL,
             state TEXT NOT NULL,
             polled_at INTEGER NOT NULL,
             pause INTEGER NOT NULL,
             expires_at INTEGER NOT NULL
           ) STRICT""",
        "CREATE INDEX devices_by_client ON devices (client_id)",
        "CREATE INDEX devices_by_time ON devices (expires_at)",
        """CREATE TABLE sessions (
             id_digest BLOB PRIMARY KEY,
             document TEXT NOT NULL,
             created_at INTEGER NOT NULL,
             expires_at INTEGER NOT NULL
           ) STRICT""",
        "CREATE INDEX sessions_by_time ON sessions (expires_at)",
        """CREATE TABLE failures (
             key TEXT PRIMARY KEY,
             count INTEGER NOT NULL,
             blocked_until INTEGER NOT NULL,
             updated_at INTEGER NOT NULL
           ) STRICT""",
        "CREATE INDEX failures_by_time ON failures (updated_at)",
        """CREATE TABLE clients (
             client_id TEXT PRIMARY KEY,
             document TEXT NOT NULL,
             registered_at INTEGER NOT NULL,
             used_at INTEGER NOT NULL
           ) STRICT""",
        "CREATE INDEX clients_by_use ON clients (used_at)",
        """CREATE TABLE used (
             kind TEXT NOT NULL,
             key TEXT NOT NULL,
             until INTEGER NOT NULL,
             PRIMARY KEY (kind, key)
           ) STRICT""",
        "CREATE INDEX used_by_time ON used (until)",
    ),
)
#: What counts no more is dropped; failures are forgotten after a day in which there was none.
_SWEEP: Final = (
    "DELETE FROM authorizations WHERE expires_at <= :now",
    "DELETE FROM codes WHERE expires_at <= :now",
    "DELETE FROM devices WHERE expires_at <= :now - 600",  # so that whoever asks learns that it expired
    "DELETE FROM sessions WHERE expires_at <= :now",
    "DELETE FROM failures WHERE updated_at <= :now - 86400",
    "DELETE FROM used WHERE until <= :now",
)
_SWEEP_SECONDS: Final = 60
_MAX_USED: Final = 100_000
_LOCK_SECONDS: Final = 3.0
_WAIT_SECONDS: Final = 5.0
_MESSAGE: Final = "the authorizations cannot be read or written"
T = TypeVar("T")


class AuthorizationsFile:
    """The SQLite file ``path``, made (mode 0600) where it is missing. Raises ``StateInvalid`` where it cannot be used.

    After trouble the file is opened anew for the next work. What was overwritten or deleted is gone from it.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._swept_at = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="remit-authorizations")
        with self._faults():
            self._database: Database | None = self._open()

    async def run(self, work: Callable[[sqlite3.Connection, int], T]) -> T:
        """``work(connection, now)`` in one write transaction, which is durable on return and undone where it raises.

        ``now`` is in whole seconds since the epoch. Raises ``StateInvalid``, and what ``work`` raises. Where that
        comes too late, ``work`` may have been done all the same.
        """
        try:
            doing = asyncio.get_running_loop().run_in_executor(self._thread, self._do, work)
        except RuntimeError as error:
            raise self._invalid("the file is closed") from error
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                return await doing
        except TimeoutError as error:
            raise self._invalid(f"nothing came of it within {_WAIT_SECONDS} s") from error

    async def use_once(self, kind: str, key: str, *, until: int) -> bool:
        """Whether ``key`` was not used before, by anybody; it is now, until that time (seconds since the epoch).

        Raises ``StateInvalid``, also where so many of its kind are remembered that no more can be.
        """
        return await self.run(lambda connection, _: self._use(connection, (kind, key, until)))

    def close(self) -> None:
        """Finish what was begun, then close the file. Safe to call twice."""
        self._thread.shutdown()
        self._drop()

    def _use(self, connection: sqlite3.Connection, row: tuple[str, str, int]) -> bool:
        (count,) = connection.execute("SELECT count(*) FROM used WHERE kind = ?", row[:1]).fetchone()
        if count >= _MAX_USED:
            raise self._invalid(f"{count} things that may be used once are remembered")
        return connection.execute("INSERT OR IGNORE INTO used (kind, key, until) VALUES (?, ?, ?)", row).rowcount == 1

    def _do(self, work: Callable[[sqlite3.Connection, int], T]) -> T:
        with self._faults():
            try:
                if self._database is None:
                    self._database = self._open()
                self._database.check_in_place()
                with transaction(self._database.connection) as connection:
                    now = int(self._clock.now())
                    self._sweep(connection, now)
                    return work(connection, now)
            except (sqlite3.Error, OSError):
                self._drop()
                raise

    def _sweep(self, connection: sqlite3.Connection, now: int) -> None:
        if abs(now - self._swept_at) >= _SWEEP_SECONDS:
            for statement in _SWEEP:
                connection.execute(statement, {"now": now})
            self._swept_at = now

    def _open(self) -> Database:
        database = Database(self._path, _SCHEMA, seconds=_LOCK_SECONDS)
        database.connection.execute("PRAGMA secure_delete = ON")
        database.connection.execute("PRAGMA foreign_keys = ON")
        return database

    def _drop(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:
            raise self._invalid(f"{type(error).__name__}: {error}") from error

    def _invalid(self, detail: str) -> StateInvalid:
        hint = f"make {self._path.parent} a writable directory on a local disk"
        return StateInvalid(_MESSAGE, where=str(self._path), detail=detail, hint=hint)
