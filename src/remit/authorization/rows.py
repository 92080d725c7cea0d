"""Rule: how an authorization, a sign-in and a request stand in the file, and what is done to their rows.

Every function on a connection runs within a transaction of ``AuthorizationsFile.run``.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass
from typing import Any, Final

from remit.authorization.authorization import Authorization, AuthorizationRequest
from remit.authorization.person import Person, SignIn
from remit.principal import Assurance

#: Authorizations of one person that count at once, in all and for one client. The oldest make room.
_MOST_OF_PERSON: Final = 200
_MOST_OF_CLIENT: Final = 20


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A code: the authorization it stands for, what was asked for, and whether somebody used it."""

    authorization: Authorization
    redirect_uri: str
    code_challenge: str
    dpop_jkt: str
    used: bool


def insert_authorization(connection: sqlite3.Connection, authorization: Authorization, until: int) -> None:
    """``until``: when the last token of it will have expired, unless it is refreshed."""
    person = authorization.sign_in.person
    key = (person.sub, person.issuer)
    document = json.dumps(asdict(authorization))
    row = (authorization.id, *key, authorization.client_id, document, authorization.granted_at, until)
    insert = "INSERT INTO authorizations (id, sub, issuer, client_id, document, granted_at, expires_at)"
    connection.execute(f"{insert} VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    _note_use(connection, authorization.id, until)
    oldest = (
        "DELETE FROM authorizations WHERE id IN (SELECT id FROM authorizations WHERE sub = ? AND issuer = ?{}"
        " ORDER BY granted_at DESC, rowid DESC LIMIT -1 OFFSET ?)"
    )
    connection.execute(oldest.format(""), (*key, _MOST_OF_PERSON))
    connection.execute(oldest.format(" AND client_id = ?"), (*key, authorization.client_id, _MOST_OF_CLIENT))


def extend_authorization(connection: sqlite3.Connection, authorization_id: str, until: int) -> bool:
    """Keep it at least ``until`` then; whether it is there."""
    update = "UPDATE authorizations SET expires_at = max(expires_at, ?) WHERE id = ?"
    _note_use(connection, authorization_id, until)
    return connection.execute(update, (until, authorization_id)).rowcount == 1


def _note_use(connection: sqlite3.Connection, authorization_id: str, until: int) -> None:
    """A client that registered itself is kept for as long as somebody uses it (``dynamic``)."""
    update = (
        "UPDATE clients SET used_at = max(used_at, ?)"
        " WHERE client_id = (SELECT client_id FROM authorizations WHERE id = ?)"
    )
    connection.execute(update, (until, authorization_id))


def find_authorization(connection: sqlite3.Connection, authorization_id: str, now: int) -> Authorization | None:
    """The authorization where it still counts."""
    select = "SELECT document FROM authorizations WHERE id = ? AND expires_at > ?"
    row = connection.execute(select, (authorization_id, now)).fetchone()
    return _authorization(json.loads(row[0])) if row else None


def authorizations_of(connection: sqlite3.Connection, sub: str, issuer: str, now: int) -> list[Authorization]:
    """Those of one person that count, newest first."""
    select = (
        "SELECT document FROM authorizations WHERE sub = ? AND issuer = ? AND expires_at > ?"
        " ORDER BY granted_at DESC, rowid DESC"
    )
    return [_authorization(json.loads(text)) for (text,) in connection.execute(select, (sub, issuer, now))]


def delete_authorization(connection: sqlite3.Connection, authorization_id: str) -> Authorization | None:
    """Drop it with its refresh token and its code; what it was."""
    delete = "DELETE FROM authorizations WHERE id = ? RETURNING document"
    rows = connection.execute(delete, (authorization_id,)).fetchall()
    connection.execute("DELETE FROM codes WHERE authorization_id = ?", (authorization_id,))
    return _authorization(json.loads(rows[0][0])) if rows else None


def insert_code(
    connection: sqlite3.Connection, digest: bytes, code: AuthorizationRequest, of: Authorization, until: int
) -> None:
    """A code for ``of``, which is in force only once the code was used."""
    document = {
        "authorization": asdict(of),
        "redirect_uri": code.redirect_uri,
        "code_challenge": code.code_challenge,
        "dpop_jkt": code.dpop_jkt,
    }
    insert = "INSERT INTO codes (digest, document, authorization_id, used, expires_at) VALUES (?, ?, ?, 0, ?)"
    connection.execute(insert, (digest, json.dumps(document), of.id, until))


def find_code(connection: sqlite3.Connection, digest: bytes, now: int) -> CodeRow | None:
    """The code; one that was used, too, for as long as what came of it can be used."""
    select = "SELECT document, used FROM codes WHERE digest = ? AND expires_at > ?"
    row = connection.execute(select, (digest, now)).fetchone()
    if row is None:
        return None
    document = json.loads(row[0])
    return CodeRow(_authorization(document.pop("authorization")), **document, used=bool(row[1]))


def use_code(connection: sqlite3.Connection, digest: bytes, until: int) -> bool:
    """Whether this is its first use; it is remembered as used ``until`` then."""
    update = "UPDATE codes SET used = 1, expires_at = ? WHERE digest = ? AND used = 0"
    return connection.execute(update, (until, digest)).rowcount == 1


def sign_in_document(sign_in: SignIn) -> dict[str, Any]:
    """A sign-in as JSON."""
    return asdict(sign_in)


def read_sign_in(document: dict[str, Any]) -> SignIn:
    """The sign-in that ``sign_in_document`` wrote."""
    members = document["person"].items()
    person: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in members}
    return SignIn(Person(**person), document["auth_time"], tuple(document["amr"]), document["acr"])


def _authorization(document: dict[str, Any]) -> Authorization:
    members = {
        "sign_in": read_sign_in(document["sign_in"]),
        "assurance": Assurance(document["assurance"]),
        "scopes": tuple(document["scopes"]),
    }
    return Authorization(**{**document, **members})
