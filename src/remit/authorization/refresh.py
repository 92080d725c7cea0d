"""Path: a refresh token → new tokens (RFC 6749 §6, RFC 9700 §4.14.2).

Each is good once. One that comes a second time is in two hands, and nobody can tell which are the right ones: so its
family ends, whoever brought it. There is no time of grace in which a used one would still do: only digests are kept,
so the same answer cannot be given again, and another successor would be a second living token of one family, which is
what a thief wants. A client that runs in several processes takes turns (``remit login`` does).
"""

from __future__ import annotations

import hmac
import re
import sqlite3
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from remit.authorization.authorization import Authorization
from remit.authorization.authorizations import Authorizations, Issued, RefreshToken, UnknownGrant
from remit.authorization.client import SignInClient
from remit.authorization.rows import delete_authorization, extend_authorization, find_authorization
from remit.errors import InvalidDpopProof, InvalidGrant, InvalidRequest, InvalidScope, InvalidTarget
from remit.sts.form import Form, single
from remit.sts.parameters import read_scopes, read_targets

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{65}")
_REPLACE: Final = "UPDATE refresh_tokens SET digest = ?, thumbprint = ? WHERE family = ? AND digest = ?"


@dataclass(frozen=True, slots=True)
class Held:
    """A family of refresh tokens: whose it is, the digest of its present one, and the key that this is bound to."""

    authorization: Authorization
    digest: bytes = field(repr=False)
    thumbprint: str

    def is_present(self, token: RefreshToken, client: SignInClient) -> bool:
        """Whether it is the one that may be used, in the hands of whom it was issued to."""
        return hmac.compare_digest(self.digest, token.digest) and self.authorization.client_id == client.client_id


class Refreshing:
    """The refresh token grant."""

    def __init__(self, authorizations: Authorizations) -> None:
        self._authorizations = authorizations
        self._file = authorizations.file

    async def grant(self, client: SignInClient, form: Form, thumbprint: str) -> Issued:
        """Use a refresh token up. ``client`` has been identified; ``thumbprint``: of the key it proved, or ``""``."""
        text = single(form, "refresh_token")
        if not text:
            raise InvalidRequest("refresh_token is missing")
        token = RefreshToken(text)
        held = await self.find(token)
        if held is None:
            raise UnknownGrant("the refresh token is not known here or has expired")
        if not held.is_present(token, client):
            await self._reused(held, client)
        thumbprints = _check_key(held, client, thumbprint)
        if not read_targets(form) <= {held.authorization.audience}:
            raise InvalidTarget("the refresh token is for another resource")
        prepared = self._authorizations.prepare(held.authorization, _scopes(held, client, form), thumbprint)
        successor = RefreshToken.fresh(token.text)
        if not await self._rotate(held, successor, thumbprints):
            await self._reused(held, client)
        issued = self._authorizations.signed(prepared, successor)
        return replace(issued, undo=partial(self._undo, held, successor))

    async def find(self, token: RefreshToken) -> Held | None:
        """The family of a token, where there is one and it counts."""
        if not _TOKEN.fullmatch(token.text):
            return None

        def read(connection: sqlite3.Connection, now: int) -> Held | None:
            select = "SELECT authorization_id, digest, thumbprint FROM refresh_tokens WHERE family = ?"
            row = connection.execute(select, (token.family,)).fetchone()
            authorization = find_authorization(connection, row[0], now) if row else None
            return Held(authorization, row[1], row[2]) if authorization else None

        return await self._file.run(read)

    async def _rotate(self, held: Held, successor: RefreshToken, thumbprint: str) -> bool:
        """Whether nobody was quicker."""
        authorization = held.authorization

        def write(connection: sqlite3.Connection, now: int) -> bool:
            row = (successor.digest, thumbprint, successor.family, held.digest)
            if connection.execute(_REPLACE, row).rowcount != 1:
                return False
            until = self._authorizations.until(authorization, successor, now)
            return extend_authorization(connection, authorization.id, until)

        return await self._file.run(write)

    async def _undo(self, held: Held, successor: RefreshToken) -> None:
        """Let the token count again whose successor nobody has seen."""
        row = (held.digest, held.thumbprint, successor.family, successor.digest)
        await self._file.run(lambda connection, _: connection.execute(_REPLACE, row).rowcount)

    async def _reused(self, held: Held, client: SignInClient) -> None:
        """Raises ``InvalidGrant``, once nothing of the authorization counts any more."""
        authorization, ending = held.authorization, self._authorizations.ending
        gone = await self._file.run(lambda connection, _: delete_authorization(connection, authorization.id))
        if gone is not None:
            await ending.revoke(authorization, by=f"client:{client.client_id}")
            await ending.told("refresh_reused", authorization, by=client.client_id)
        raise InvalidGrant("the refresh token was used before or by another client, so it has been revoked")


def _check_key(held: Held, client: SignInClient, thumbprint: str) -> str:
    """The key that the successor is bound to (RFC 9449 §5): once there is one, a public client cannot do without it."""
    if not client.is_public:
        return ""
    if held.thumbprint and held.thumbprint != thumbprint:
        raise InvalidDpopProof("the refresh token is bound to a key, and the request proves another or none")
    return thumbprint


def _scopes(held: Held, client: SignInClient, form: Form) -> tuple[str, ...]:
    """What is asked for, or all that was given, as far as the client may have it now: never more (RFC 6749 §6)."""
    given = held.authorization.scopes
    asked = read_scopes(form)
    if not set(asked) <= set(given):
        raise InvalidScope("scope is wider than what was given")
    left = tuple(each for each in asked or given if not client.scopes or each in client.scopes)
    if given and not left:
        raise InvalidGrant("nothing is left of what was given")
    return left
