"""Door: the trail in one SQLite file, written by one thread that commits for many calls at once.

Calls that arrive while a commit is on its way to the disk share the next one. Several processes may append to the
same file: the chain's end is read and extended in one write transaction. The file must lie on a local disk (SQLite's
write-ahead log does not work over a network file system).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from remit.audit import chain
from remit.audit.chain import Link
from remit.audit.store import schema
from remit.errors import AuditError, StateInvalid

_MAX_WAITING: Final = 10_000
_SWITCH_ATTEMPTS: Final = 50
_SWITCH_PAUSE: Final = 0.02
_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A record, and who waits for it to be durable."""

    record: Mapping[str, Any]
    done: asyncio.Future[None]


class SqliteStore:
    """``Store`` in the SQLite file ``path``, made (mode 0600) where it is missing.

    ``seconds`` bounds both the wait for another process's lock and the wait of each ``append``. Raises
    ``StateInvalid`` where the file cannot be used at all; later trouble raises ``AuditError`` from ``append``
    for the records concerned, and the file is opened anew for the next ones.
    """

    def __init__(self, path: Path, *, seconds: float = 5.0) -> None:
        self._path = path
        self._seconds = seconds
        self._waiting: list[_Waiting] = []
        self._changed = threading.Condition()
        self._closing = False
        try:
            self._file: _OpenFile | None = _OpenFile(path, seconds)
        except (sqlite3.Error, OSError) as error:
            raise StateInvalid(
                "the audit trail cannot be opened",
                where=str(path),
                detail=str(error),
                hint=f"make {path.parent} a writable directory on a local disk",
            ) from error
        self._thread = threading.Thread(target=self._run, name="remit-audit", daemon=True)
        self._thread.start()

    async def append(self, record: Mapping[str, Any]) -> None:
        """See ``Store.append``."""
        try:
            chain.check(record)
        except ValueError as error:
            raise AuditError("the call could not be recorded", detail=f"unfit for the trail: {error}") from error
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._enqueue(_Waiting(record, done))
        try:
            async with asyncio.timeout(self._seconds):
                await done
        except TimeoutError as error:
            raise AuditError(
                "the call could not be recorded in time",
                detail=f"no commit within {self._seconds} s",
                hint=f"look at the disk that holds {self._path}, and for a process that keeps it locked",
            ) from error

    def close(self) -> None:
        """Write what is still waiting, close the file, stop the thread. Safe to call twice."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _enqueue(self, waiting: _Waiting) -> None:
        with self._changed:
            if self._closing:
                raise AuditError("the call could not be recorded", detail="the trail is closed")
            if len(self._waiting) >= _MAX_WAITING:
                raise AuditError("the call could not be recorded", detail=f"{_MAX_WAITING} records are waiting already")
            self._waiting.append(waiting)
            self._changed.notify()

    # ── the writer's thread ──────────────────────────────────────────────────────────────

    def _run(self) -> None:
        while batch := self._take():
            problem = self._write(batch)
            for loop in {waiting.done.get_loop() for waiting in batch}:
                self._tell(loop, [each.done for each in batch if each.done.get_loop() is loop], problem)
        self._drop_file()

    def _take(self) -> list[_Waiting]:
        """Everything that waits; empty only when closing."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            batch, self._waiting = self._waiting, []
            return batch

    def _write(self, batch: Iterable[_Waiting]) -> str:
        """Commit the batch. What went wrong, or nothing."""
        try:
            if self._file is None:
                self._file = _OpenFile(self._path, self._seconds)
            self._file.append(waiting.record for waiting in batch)
        except Exception as error:  # noqa: BLE001  top of the thread: nobody may be left waiting for a dead writer
            _LOG.error("audit_write_failed", path=str(self._path), error=repr(error))
            self._drop_file()
            return f"{type(error).__name__}: {error}"
        return ""

    def _drop_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    @staticmethod
    def _tell(loop: asyncio.AbstractEventLoop, waiting: list[asyncio.Future[None]], problem: str) -> None:
        """Wake everybody of one loop with one call into it. A loop that has ended has nobody to wake."""
        try:
            loop.call_soon_threadsafe(_settle, waiting, problem)
        except RuntimeError:
            _LOG.debug("audit_nobody_waits", records=len(waiting))


def _settle(waiting: Iterable[asyncio.Future[None]], problem: str) -> None:
    """End each wait that is still on."""
    for done in waiting:
        if done.done():
            continue
        if problem:
            done.set_exception(
                AuditError(
                    "the call could not be recorded",
                    detail=problem,
                    hint="free the disk, or mend the rights of the state directory; the next call tries again",
                )
            )
        else:
            done.set_result(None)


class _OpenFile:
    """One open connection to the file, and the file's identity, so that a moved file is noticed.

    Made in one thread and used in another, never in both at a time.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made here and not by SQLite, so that it is never readable by others; its companions copy the mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._path = path
        self._identity = _identity(path)
        self._connection = sqlite3.connect(path, timeout=seconds, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Chain and commit ``records`` as one transaction. Raises ``sqlite3.Error`` or ``OSError``."""
        if _identity(self._path) != self._identity:
            raise OSError(f"{self._path} was moved or replaced while it was open")
        with _Transaction(self._connection) as connection:
            end = self._end()
            rows = []
            for record in records:
                sealed = chain.seal(record, end)
                rows.append(schema.to_row(sealed))
                end = sealed.link
            connection.executemany(schema.INSERT, rows)

    def close(self) -> None:
        """Close the connection; whatever is open in it is rolled back."""
        self._connection.close()

    def _end(self) -> Link:
        row = self._connection.execute(schema.SELECT_END).fetchone()
        return Link(*row) if row else chain.GENESIS

    def _prepare(self) -> None:
        """Set durability, and make or check the schema."""
        self._use_write_ahead_log()
        self._connection.execute("PRAGMA synchronous = FULL")
        with _Transaction(self._connection) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in schema.CREATE:
                    connection.execute(statement)
            elif version != schema.VERSION:
                raise sqlite3.DatabaseError(f"schema version {version}; this release knows {schema.VERSION}")

    def _use_write_ahead_log(self) -> None:
        """Switch the file's journal. SQLite itself does not wait for others that do the same at this moment."""
        for attempt in range(_SWITCH_ATTEMPTS):
            try:
                (mode,) = self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or attempt == _SWITCH_ATTEMPTS - 1:
                    raise
                time.sleep(_SWITCH_PAUSE)
            else:
                if mode != "wal":
                    raise sqlite3.OperationalError(f"no write-ahead log here, only {mode}")
                return


class _Transaction:
    """``BEGIN IMMEDIATE`` … ``COMMIT``: nobody else writes between reading the chain's end and extending it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._connection.execute("COMMIT")
        elif self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
