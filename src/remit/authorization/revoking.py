"""Path: an authorization that ended → nothing that came of it counts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from remit.authorization.authorization import Authorization
from remit.clock import Clock
from remit.errors import AuditError, GrantUnavailable, RevocationUnknown, StateInvalid
from remit.sts.returning import RecordControl
from remit.sts.revocation import Kind, Order, RevocationList

#: Seconds a token may be accepted after it expired, and some more.
_LEEWAY: Final = 60
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """Revokes the transaction of an authorization whose rows are gone. ``access``: seconds its last token may live.

    What was exchanged from a token lives no longer than the token itself, and has the same transaction.
    """

    revocations: RevocationList | None
    record: RecordControl | None
    clock: Clock
    access: int = 600

    async def revoke(self, authorization: Authorization, *, by: str) -> None:
        """Durable on return. Raises ``GrantUnavailable``: then its tokens count until they expire, within minutes."""
        if self.revocations is None:
            return
        until = int(self.clock.now()) + self.access + _LEEWAY
        order = Order(Kind.TXN, authorization.txn, until=until, reason="the sign-in has ended", by=by)
        try:
            await asyncio.to_thread(self.revocations.add, order)
        except (StateInvalid, RevocationUnknown) as error:
            _LOG.error("the tokens of an authorization that ended cannot be revoked: %s", error.detail)
            raise GrantUnavailable("the tokens cannot be revoked now", detail=error.message) from error

    async def told(self, action: str, authorization: Authorization, **what: str) -> None:
        """Tell the trail that an authorization ended. Raises ``GrantUnavailable``."""
        if self.record is None:
            return
        person = authorization.sign_in.person
        facts: Mapping[str, str] = {
            "kind": "txn",
            "value": authorization.txn,
            "client_id": authorization.client_id,
            "user": person.sub,
            "issuer": person.issuer,
            **what,
        }
        try:
            await self.record(action, facts)
        except AuditError as error:
            raise GrantUnavailable("the revocation cannot be recorded now", detail=error.detail) from error
