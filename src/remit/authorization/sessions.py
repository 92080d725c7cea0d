"""Door: who is signed in here. The browser has a random id; the file has its SHA-256 and who that is."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from remit.authorization.file import AuthorizationsFile
from remit.authorization.person import People, Person, SignIn
from remit.authorization.rows import read_sign_in, sign_in_document
from remit.errors import GrantUnavailable, RevocationUnknown

_PER_PERSON: Final = 20
_MOST: Final = 100_000


class Credentials(Protocol):
    """What a person's sign-in depends on."""

    def mark(self, user: str) -> str:
        """What changes when the user's password does; ``""``: they have none."""
        ...


class LoggedOut(Protocol):
    """Whom the operator has logged out everywhere."""

    def is_subject_revoked(self, name: str, since: float) -> bool:
        """Whether what somebody has had since then counts no more. Raises ``RevocationUnknown``."""
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody signed in in one browser. ``id`` is what the browser has to prove it.

    ``opened_at``: seconds since the epoch. At another provider they may have signed in long before.
    """

    id: str = field(repr=False)
    sign_in: SignIn
    opened_at: int


class Sessions:
    """Sessions of ``lifetime`` seconds.

    Whoever this service knows itself is looked up each time: a session ends when its person is gone from the settings
    or has another password. What another provider said of a person stays as it was at the sign-in. Whoever is logged
    out everywhere has to sign in again.
    """

    def __init__(
        self,
        file: AuthorizationsFile,
        people: People,
        credentials: Credentials | None,
        *,
        lifetime: int,
        logged_out: LoggedOut | None = None,
    ) -> None:
        self._file = file
        self._people = people
        self._credentials = credentials
        self._logged_out = logged_out
        self.lifetime = lifetime

    async def open(self, sign_in: SignIn) -> Session:
        """A new session, with an id that nobody has had before. Raises ``StateInvalid``."""
        session_id = secrets.token_urlsafe(32)
        document = json.dumps({**sign_in_document(sign_in), "mark": self._mark(sign_in.person)})

        def write(connection: sqlite3.Connection, now: int) -> int:
            insert = "INSERT INTO sessions (id_digest, document, created_at, expires_at) VALUES (?, ?, ?, ?)"
            connection.execute(insert, (_digest(session_id), document, now, now + self.lifetime))
            _bound(connection, sign_in.person)
            return now

        return Session(session_id, sign_in, await self._file.run(write))

    async def find(self, session_id: str) -> Session | None:
        """The session of this id where it still counts. Raises ``StateInvalid``, and ``GrantUnavailable``."""
        if not session_id:
            return None
        found = await self._file.run(lambda connection, now: _found(connection, session_id, now))
        if found is None:
            return None
        document, opened_at = found
        mark, sign_in = document["mark"], read_sign_in(document)
        person = sign_in.person
        if self._is_logged_out(person, opened_at):
            return None
        if not person.issuer:
            known = self._people.find(person.sub)
            if known is None or self._mark(person) != mark:
                return None
            person = known
        return Session(session_id, SignIn(person, sign_in.auth_time, sign_in.amr, sign_in.acr), opened_at)

    async def close(self, session_id: str) -> None:
        """Sign out. Raises ``StateInvalid``."""
        delete = "DELETE FROM sessions WHERE id_digest = ?"
        await self._file.run(lambda connection, _: connection.execute(delete, (_digest(session_id),)).rowcount)

    def _is_logged_out(self, person: Person, since: int) -> bool:
        try:
            return self._logged_out is not None and self._logged_out.is_subject_revoked(person.sub, since)
        except RevocationUnknown as error:
            raise GrantUnavailable("nobody can be signed in now", detail=error.detail) from error

    def _mark(self, person: Person) -> str:
        return "" if person.issuer or self._credentials is None else self._credentials.mark(person.sub)


def _digest(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode()).digest()


def _found(connection: sqlite3.Connection, session_id: str, now: int) -> tuple[dict[str, Any], int] | None:
    """What is known of it, and when it was opened."""
    select = "SELECT document, created_at FROM sessions WHERE id_digest = ? AND expires_at > ?"
    row = connection.execute(select, (_digest(session_id), now)).fetchone()
    return (json.loads(row[0]), int(row[1])) if row else None


def _bound(connection: sqlite3.Connection, person: Person) -> None:
    """Drop a person's oldest sessions, and the oldest of all, beyond what is kept."""
    theirs = "json_extract(document, '$.person.sub') = ? AND json_extract(document, '$.person.issuer') = ?"
    newest = "SELECT id_digest FROM sessions WHERE {} ORDER BY created_at DESC, rowid DESC LIMIT -1 OFFSET ?"
    delete = "DELETE FROM sessions WHERE id_digest IN ({})"
    connection.execute(delete.format(newest.format(theirs)), (person.sub, person.issuer, _PER_PERSON))
    connection.execute(delete.format(newest.format("TRUE")), (_MOST,))
