"""Rule: clients that registered themselves, as they stand in the file.

Every function on a connection runs within a transaction of ``AuthorizationsFile.run``. Whether somebody uses a client
can be seen from the authorizations it has: what anybody could do without them does not count as use.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Final

from remit.authorization.client import SignInClient, Source
from remit.authorization.document import ClientMetadata

#: What the id of such a client begins with.
PREFIX: Final = "dynamic."
_UNUSED_SECONDS: Final = 30 * 86_400
#: So long after it registered a client makes room for no other: somebody may be about to sign in through it.
_SETTLING_SECONDS: Final = 600
_MARK_SECONDS: Final = 3600
_NOTE_USE: Final = "UPDATE clients SET used_at = :now WHERE client_id IN (SELECT client_id FROM authorizations)"
_NOTE_USE_OF_ONE: Final = (
    "UPDATE clients SET used_at = :now WHERE client_id = :id AND used_at < :now - :pause"
    " AND EXISTS (SELECT 1 FROM authorizations WHERE client_id = :id)"
)
_DROP_OLDEST: Final = (
    "DELETE FROM clients WHERE client_id IN (SELECT client_id FROM clients"
    " WHERE used_at = 0 AND registered_at <= ? ORDER BY registered_at, rowid LIMIT ?)"
)


def find_client(connection: sqlite3.Connection, client_id: str, now: int) -> SignInClient | None:
    """The client of this id, noting that it is in use where it is."""
    row = connection.execute("SELECT document FROM clients WHERE client_id = ?", (client_id,)).fetchone()
    if row is None:
        return None
    connection.execute(_NOTE_USE_OF_ONE, {"now": now, "id": client_id, "pause": _MARK_SECONDS})
    return _client(client_id, json.loads(row[0]))


def insert_client(
    connection: sqlite3.Connection,
    client_id: str,
    metadata: ClientMetadata,
    secret_digest: bytes,
    *,
    now: int,
    limit: int,
) -> bool:
    """Keep a client, of which there may be ``limit``; whether there was room.

    One that was never used makes room, the oldest first; one that was not used for 30 days is gone.
    """
    connection.execute(_NOTE_USE, {"now": now})
    connection.execute("DELETE FROM clients WHERE max(registered_at, used_at) <= ?", (now - _UNUSED_SECONDS,))
    (count,) = connection.execute("SELECT count(*) FROM clients").fetchone()
    gone = connection.execute(_DROP_OLDEST, (now - _SETTLING_SECONDS, max(0, count - limit + 1))).rowcount
    if count - gone >= limit:
        return False
    insert = "INSERT INTO clients (client_id, document, registered_at, used_at) VALUES (?, ?, ?, 0)"
    connection.execute(insert, (client_id, _document(metadata, secret_digest), now))
    return True


def _document(metadata: ClientMetadata, secret_digest: bytes) -> str:
    return json.dumps(
        {
            "name": metadata.name,
            "redirect_uris": metadata.redirect_uris,
            "auth_method": metadata.auth_method,
            "jwks": metadata.jwks,
            "grants": sorted(metadata.grants),
            "secret_digest": secret_digest.hex(),
        }
    )


def _client(client_id: str, document: dict[str, Any]) -> SignInClient:
    return SignInClient(
        client_id=client_id,
        name=document["name"],
        source=Source.DYNAMIC,
        redirect_uris=tuple(document["redirect_uris"]),
        auth_method=document["auth_method"],
        secret_digest=bytes.fromhex(document["secret_digest"]),
        jwks=document["jwks"],
        grants=frozenset(document["grants"]),
    )
