"""Door: which agent has acted for which user before. Kept as hashes in the file of the approvals."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Final

from remit.approvals.file import ApprovalsFile
from remit.clock import Clock
from remit.database import transaction
from remit.principal import ActingParty, Principal

_MAX_REMEMBERED: Final = 10_000
_Pair = tuple[str, str, str, str]


class Pairs:
    """The pairs of the file ``path``, and in memory those that were asked about. Raises ``StateInvalid``.

    A pair once met is known for good; only its hash and the time stand in the file.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._file = ApprovalsFile(path)
        self._clock = clock
        self._known: dict[_Pair, None] = {}

    async def is_first(self, principal: Principal, acting: ActingParty) -> bool:
        """Whether this agent has never acted for this user."""
        pair = _pair(principal, acting)
        if pair in self._known:
            return False
        digest = _digest(pair)
        if not await self._file.run(lambda connection: _is_there(connection, digest)):
            return True
        self._remember(pair)
        return False

    async def met(self, principal: Principal, acting: ActingParty) -> None:
        """From now on it has; durable on return."""
        pair = _pair(principal, acting)
        if pair in self._known:
            return
        row = (_digest(pair), int(self._clock.now()))
        await self._file.run(lambda connection: _add(connection, row))
        self._remember(pair)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _remember(self, pair: _Pair) -> None:
        if len(self._known) >= _MAX_REMEMBERED:
            self._known.pop(next(iter(self._known)))  # the first that came; the file knows it still
        self._known[pair] = None


def _pair(principal: Principal, acting: ActingParty) -> _Pair:
    return (principal.issuer, principal.subject, acting.actor.iss, acting.actor.sub)


def _digest(pair: _Pair) -> bytes:
    return hashlib.sha256(json.dumps(pair).encode()).digest()


def _is_there(connection: sqlite3.Connection, digest: bytes) -> bool:
    return connection.execute("SELECT 1 FROM pairs WHERE pair = ?", (digest,)).fetchone() is not None


def _add(connection: sqlite3.Connection, row: tuple[bytes, int]) -> None:
    with transaction(connection):
        connection.execute("INSERT OR IGNORE INTO pairs (pair, since) VALUES (?, ?)", row)
