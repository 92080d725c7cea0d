"""The tokens of all issuers that are trusted, however each is verified (path)."""

from __future__ import annotations

from remit.credential import UnverifiedToken
from remit.errors import IssuerUntrusted
from remit.tokens.introspection import IntrospectedTokens, is_signed
from remit.tokens.verifier import Expectation, TokenVerifier, VerifiedToken


class AnyIssuer:
    """Verifies the tokens of issuers that sign them, and of the one that has to be asked.

    There is no more than one of the latter: a token that nobody can read would have to be shown to each.
    """

    def __init__(self, signed: TokenVerifier, asked: IntrospectedTokens) -> None:
        self._signed = signed
        self._asked = asked

    async def verify(self, token: UnverifiedToken, expect: Expectation, *, now: float) -> VerifiedToken:
        """As ``Verifier`` has it. A JWT of an issuer that signs is never shown to the other."""
        if is_signed(token):
            try:
                return await self._signed.verify(token, expect, now=now)
            except IssuerUntrusted:
                pass
        return await self._asked.verify(token, expect, now=now)
