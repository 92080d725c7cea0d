"""Path: token revocation (RFC 7009): a client gives a token back that it needs no longer, or fears for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from remit.errors import AuditError, GrantUnavailable, RevocationUnknown, StateInvalid, UnauthorizedClient
from remit.sts.form import Form
from remit.sts.issued import IssuedTokens
from remit.sts.revocation import Kind, Order, RevocationList
from remit.tokens.verifier import VerifiedToken

#: Revocations of one client that may be in force at once: none fills the list for the others.
MAX_PER_CLIENT: Final = 10_000
_LEEWAY: Final = 60  # seconds a token may still be accepted after ``exp``, and some more

#: Tells the trail what was done: the action and what it was done to.
RecordControl = Callable[[str, Mapping[str, str]], Awaitable[str]]


class Named(Protocol):
    """A client, of whichever kind."""

    @property
    def client_id(self) -> str:
        """Its name, which is in its tokens."""
        ...


class Returning:
    """Revokes the access tokens of authenticated clients, one at a time."""

    def __init__(self, issued: IssuedTokens, revocations: RevocationList, record: RecordControl | None = None) -> None:
        self._issued = issued
        self._revocations = revocations
        self._record = record

    async def answer(self, client: Named, form: Form) -> dict[str, Any]:
        """RFC 7009 §2.1. ``client`` has been authenticated.

        "The authorization server responds with HTTP status code 200 if the token has been revoked successfully or if
        the client submitted an invalid token." A token of another client "is refused and the client is informed".
        What was exchanged from the token stays good until it expires: at most as long as the token itself.
        """
        token = await self._issued.read(form)
        if token is None:
            return {}
        if token.client_id != client.client_id:
            raise UnauthorizedClient("the token was issued to another client")
        try:
            await self._revoke(token, client)
        except (StateInvalid, RevocationUnknown) as error:
            raise GrantUnavailable("the token cannot be revoked now", detail=error.message) from error
        except AuditError as error:  # it is revoked all the same
            raise GrantUnavailable("the revocation cannot be recorded now", detail=error.detail) from error
        return {}

    async def _revoke(self, token: VerifiedToken, client: Named) -> None:
        if self._revocations.is_revoked(token):
            return
        order = Order(Kind.JTI, token.jti, until=token.expires_at + _LEEWAY, by=f"client:{client.client_id}")
        await asyncio.to_thread(self._revocations.add, order, at_most=MAX_PER_CLIENT)
        if self._record is not None:
            await self._record("revoke", {"kind": "jti", "value": token.jti, "by": order.by})
