"""Path: a token request that came over HTTP, recorded before its answer leaves.

A caller in this process (the bridge) has a record of its own, so this is the token endpoint's affair alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from remit import oauth
from remit.errors import AuditError, GrantError, GrantUnavailable
from remit.sts.clients import Client
from remit.sts.form import Form
from remit.sts.grant import SecurityTokenService
from remit.sts.watch import IssuanceRecord

#: Opens the record of one request: the client's id and how it was authenticated.
OpenRecord = Callable[[str, str], IssuanceRecord]


class RecordedGrants:
    """The grants of ``sts``, each with one record of what was issued or why not."""

    def __init__(self, sts: SecurityTokenService, open_record: OpenRecord) -> None:
        self._sts = sts
        self._open_record = open_record

    async def answer(self, client: Client, form: Form) -> dict[str, Any]:
        """As ``SecurityTokenService.grant``; what cannot be recorded is not issued (``GrantUnavailable``)."""
        record = self._open_record(client.client_id, auth_method(form))
        try:
            try:
                document = await self._sts.grant(client, form, record)
            except GrantError as error:
                await record.refused(error)
                raise
            await record.issued()
        except AuditError as error:
            raise GrantUnavailable("the request cannot be recorded now", detail=error.detail) from error
        return document


def auth_method(form: Form) -> str:
    """How the client of an authenticated request proved itself (RFC 8414's names)."""
    if "client_assertion" in form:
        return oauth.PRIVATE_KEY_JWT
    return oauth.CLIENT_SECRET_POST if "client_secret" in form else oauth.CLIENT_SECRET_BASIC
