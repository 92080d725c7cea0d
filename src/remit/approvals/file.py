"""Door: the file of approvals and pairs, used by one thread of its own, so that nobody else waits for the disk."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from remit.approvals.rows import SCHEMA
from remit.database import Database
from remit.errors import StateInvalid

_LOCK_SECONDS: Final = 3.0
_WAIT_SECONDS: Final = 5.0
_MESSAGE: Final = "the approvals cannot be read or written"
T = TypeVar("T")


class ApprovalsFile:
    """The SQLite file ``path``. Raises ``StateInvalid`` where it cannot be used.

    After trouble the file is opened anew for the next work. What was overwritten or deleted is gone from it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="remit-approvals")
        with self._faults():
            self._database: Database | None = self._open()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """``work`` with the connection. Raises ``StateInvalid``, and what ``work`` raises.

        Where that comes too late, ``work`` may have been done all the same.
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

    def close(self) -> None:
        """Finish what was begun, then close the file. Safe to call twice."""
        self._thread.shutdown()
        self._drop()

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._faults():
            try:
                if self._database is None:
                    self._database = self._open()
                self._database.check_in_place()
                return work(self._database.connection)
            except (sqlite3.Error, OSError):
                self._drop()
                raise

    def _open(self) -> Database:
        database = Database(self._path, SCHEMA, seconds=_LOCK_SECONDS)
        database.connection.execute("PRAGMA secure_delete = ON")
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
