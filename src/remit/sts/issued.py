"""Path: a token somebody shows → the sound token of this service that it is, or nothing.

For those who ask about a token (RFC 7662) or give one back (RFC 7009); whom it is for is theirs to check.
"""

from __future__ import annotations

from remit.clock import Clock
from remit.credential import UnverifiedToken
from remit.errors import InvalidRequest, TokenInvalid
from remit.principal import Profile
from remit.sts.form import Form, single
from remit.sts.keys import KeyRing
from remit.sts.subject import MAX_TOKEN_BYTES
from remit.tokens.checks import read_audience
from remit.tokens.jwks import LiveKeys
from remit.tokens.parse import parse
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer, VerifiedToken


class IssuedTokens:
    """Reads access tokens that ``issuer`` signed with ``keys``."""

    def __init__(self, issuer: str, keys: KeyRing, clock: Clock) -> None:
        trusted = TrustedIssuer(issuer, frozenset({keys.signing_key.algorithm}), LiveKeys(keys.jwks))
        self._verifier = TokenVerifier([trusted], max_bytes=MAX_TOKEN_BYTES)
        self._clock = clock

    async def read(self, form: Form) -> VerifiedToken | None:
        """The token in the parameter ``token``; ``None`` where it is no token of this service, or none any more.

        This does NOT ask whether it was revoked. Raises ``InvalidRequest`` where the parameter is missing;
        ``token_type_hint`` is passed over, as RFC 7009 §2.1 and RFC 7662 §2.1 allow.
        """
        text = single(form, "token")
        if not text:
            raise InvalidRequest("token is missing")
        now = self._clock.now()
        try:
            token = await self._verify(UnverifiedToken(text), now)
        except TokenInvalid:
            return None
        return token if now < token.expires_at else None  # its own issuer needs no leeway

    async def _verify(self, token: UnverifiedToken, now: float) -> VerifiedToken:
        # Whomever it is for: its own audience is what is expected, and all else is checked as ever.
        audience = read_audience(parse(token, max_bytes=MAX_TOKEN_BYTES).claims)
        expect = Expectation(frozenset(audience), profiles=frozenset(Profile))
        return await self._verifier.verify(token, expect, now=now)
