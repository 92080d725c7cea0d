"""Rule and door: who guesses has to wait, twice as long each time; counted for all processes in one file.

An attempt counts as a failure from its beginning, and is taken back when it succeeds: of many at once, only so many
get through. Counts leak, so that nobody is kept out for ever by mistakes, their own or another's.
"""

from __future__ import annotations

import hashlib
import ipaddress
import sqlite3
from dataclasses import dataclass
from typing import Final

from remit.authorization.file import AuthorizationsFile

_MAX_ROWS: Final = 20_000
_MINUTE: Final = 60


@dataclass(frozen=True, slots=True)
class Limit:
    """``free`` failures cost nothing; each further one doubles the wait, up to ``longest`` seconds.

    One failure is forgotten every ``leak`` seconds in which there was none.
    """

    free: int
    leak: int
    longest: int


@dataclass(frozen=True, slots=True)
class Counter:
    """What failures are counted for. ``resets``: a success forgets them all, not just itself."""

    key: str
    limit: Limit
    resets: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """Whether one may be made now: ``wait`` is 0, or the seconds until then.

    ``first``: whether it is the first of its first counter in this minute.
    """

    wait: int
    first: bool = False


_USER: Final = Limit(free=5, leak=900, longest=900)
_ADDRESS: Final = Limit(free=30, leak=60, longest=60)
_ALL: Final = Limit(free=200, leak=5, longest=5)
_CODES: Final = Limit(free=5, leak=300, longest=300)


def password_counters(user: str, address: str) -> tuple[Counter, ...]:
    """For a sign-in as ``user``, whether there is such a user or not."""
    return (
        Counter(f"user:{_short(user)}", _USER, resets=True),
        Counter(f"address:{network(address)}", _ADDRESS),
        Counter("all", _ALL),
    )


def user_code_counters(sub: str, issuer: str, address: str) -> tuple[Counter, ...]:
    """For the entry of a device's user code (RFC 8628 §5.1) by somebody who is signed in."""
    return (
        # No reset: who has a device of their own could have one whenever they like.
        Counter(f"codes:{_short(f'{issuer} {sub}')}", _CODES),
        Counter(f"codes:{network(address)}", _ADDRESS),
        Counter("codes", _ALL),
    )


def penalty(failures: int, limit: Limit) -> int:
    """How many seconds to wait after so many failures."""
    beyond = failures - limit.free
    return 0 if beyond < 0 else min(limit.longest, 1 << min(beyond, 30))


class Throttle:
    """The counters, in the file of authorizations."""

    def __init__(self, file: AuthorizationsFile) -> None:
        self._file = file

    async def begin(self, counters: tuple[Counter, ...]) -> Attempt:
        """Count one attempt, unless one of the counters says to wait. Raises ``StateInvalid``."""
        return await self._file.run(lambda connection, now: _begin(connection, now, counters))

    async def succeeded(self, counters: tuple[Counter, ...]) -> None:
        """Take the attempt back. Raises ``StateInvalid``."""
        await self._file.run(lambda connection, now: _take_back(connection, now, counters))


def _begin(connection: sqlite3.Connection, now: int, counters: tuple[Counter, ...]) -> Attempt:
    rows = [_row(connection, counter.key) for counter in counters]
    wait = max(blocked_until - now for _, blocked_until, _ in rows)
    if wait > 0:
        return Attempt(wait)
    for counter, (before, _, updated_at) in zip(counters, rows, strict=True):
        leaked = max(0, now - updated_at) // counter.limit.leak
        count = max(0, before - leaked) + 1
        _write(connection, counter.key, count, now + penalty(count, counter.limit), now)
    _bound(connection)
    return Attempt(0, first=rows[0][2] // _MINUTE != now // _MINUTE)


def _take_back(connection: sqlite3.Connection, now: int, counters: tuple[Counter, ...]) -> None:
    for counter in counters:
        count, _, _ = _row(connection, counter.key)
        if counter.resets or count <= 1:
            connection.execute("DELETE FROM failures WHERE key = ?", (counter.key,))
        else:
            _write(connection, counter.key, count - 1, now, now)


def _row(connection: sqlite3.Connection, key: str) -> tuple[int, int, int]:
    select = "SELECT count, blocked_until, updated_at FROM failures WHERE key = ?"
    count, blocked_until, updated_at = connection.execute(select, (key,)).fetchone() or (0, 0, 0)
    return int(count), int(blocked_until), int(updated_at)


def _write(connection: sqlite3.Connection, key: str, count: int, blocked_until: int, now: int) -> None:
    replace = "INSERT OR REPLACE INTO failures (key, count, blocked_until, updated_at) VALUES (?, ?, ?, ?)"
    connection.execute(replace, (key, count, blocked_until, now))


def _bound(connection: sqlite3.Connection) -> None:
    """Forget the oldest: at the pace that all attempts together are held to, nobody can push out a fresh one."""
    (rows,) = connection.execute("SELECT count(*) FROM failures").fetchone()
    if rows > _MAX_ROWS:
        oldest = "DELETE FROM failures WHERE key IN (SELECT key FROM failures ORDER BY updated_at LIMIT ?)"
        connection.execute(oldest, (rows - _MAX_ROWS,))


def _short(text: str) -> str:
    """Whatever was typed for a name, a password perhaps, does not stand in the file."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def network(address: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 address, in which one person has all there are."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
