"""Rule: clients that registered themselves, as they stand in the file.

Every function on a connection runs within a transaction of ``AuthorizationsFile.run``. ``used_at`` is when the last
authorization of a client ends or ended (``rows``), 0 where it never had one: nothing that anybody could do without a
person's yes counts as use.
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
_DROP_OLDEST: Final = (
    "DELETE FROM clients WHERE client_id IN (SELECT client_id FROM clients"
    " WHERE used_at = 0 AND registered_at <= ? ORDER BY registered_at, rowid LIMIT ?)"
)


def find_client(connection: sqlite3.Connection, client_id: str) -> SignInClient | None:
    """The client of this id."""
    row = connection.execute("SELECT document FROM clients WHERE client_id = ?", (client_id,)).fetchone()
    return _client(client_id, json.loads(row[0])) if row else None


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
