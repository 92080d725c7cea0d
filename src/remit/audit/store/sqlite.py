"""Door: the trail in one SQLite file, written by one thread that commits for many calls at once.

Calls that arrive while a commit is on its way to the disk share the next one. Several processes may append to the
same file: the chain's end is read and extended in one write transaction. The file must lie on a local disk (SQLite's
write-ahead log does not work over a network file system).
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from remit.audit import chain
from remit.audit.chain import Link
from remit.audit.store import schema
from remit.database import Database, transaction
from remit.errors import AuditError, StateInvalid

_MAX_WAITING: Final = 10_000
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
            self._file: Database | None = Database(path, schema.SCHEMA, seconds=seconds)
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
                self._file = Database(self._path, schema.SCHEMA, seconds=self._seconds)
            _append(self._file, (waiting.record for waiting in batch))
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


def _append(file: Database, records: Iterable[Mapping[str, Any]]) -> None:
    """Chain and commit ``records`` as one transaction. Raises ``sqlite3.Error`` or ``OSError``."""
    file.check_in_place()
    with transaction(file.connection) as connection:
        last = connection.execute(schema.SELECT_END).fetchone()
        end = Link(*last) if last else chain.GENESIS
        rows = []
        for record in records:
            sealed = chain.seal(record, end)
            rows.append(schema.to_row(sealed))
            end = sealed.link
        connection.executemany(schema.INSERT, rows)
