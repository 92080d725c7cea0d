"""Path: token introspection (RFC 7662): an API asks what a token it was shown is worth now."""

from __future__ import annotations

from typing import Any, Final

from remit.errors import GrantUnavailable, RevocationUnknown
from remit.sts.clients import Client
from remit.sts.form import Form
from remit.sts.issued import IssuedTokens
from remit.sts.revocation import Revocations
from remit.tokens.verifier import VerifiedToken

#: What is told of a token, where it says so. Not ``may_act``, which is between the subject and this service.
_TOLD: Final = (
    "iss",
    "sub",
    "aud",
    "client_id",
    "scope",
    "exp",
    "iat",
    "jti",
    "txn",
    "act",
    "dlg",
    "sub_iss",
    "sub_id",
    "cnf",
)


class Introspection:
    """Answers authenticated clients about the tokens that are for them."""

    def __init__(self, issued: IssuedTokens, revocations: Revocations) -> None:
        self._issued = issued
        self._revocations = revocations

    async def answer(self, client: Client, form: Form) -> dict[str, Any]:
        """RFC 7662 §2.2. ``client`` has been authenticated.

        A token that is unsound, expired, revoked or for somebody else than ``client`` is told apart by nobody:
        "the authorization server SHOULD NOT include any additional information about an inactive token".
        """
        token = await self._issued.read(form)
        if token is None or client.accepted_audiences.isdisjoint(token.audience) or self._is_revoked(token, client):
            return {"active": False}
        told = {name: token.claims[name] for name in _TOLD if name in token.claims}
        return {"active": True, "token_type": "DPoP" if "cnf" in told else "Bearer", **told}

    def _is_revoked(self, token: VerifiedToken, client: Client) -> bool:
        """Whether the token is, or the client that asks: a client that is switched off is told nothing."""
        try:
            return self._revocations.is_revoked(token) or self._revocations.is_actor_revoked(client.client_id)
        except RevocationUnknown as error:
            raise GrantUnavailable("nothing can be said about tokens now", detail=error.detail) from error
