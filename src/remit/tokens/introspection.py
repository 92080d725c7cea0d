"""Tokens that only their issuer can read: it is asked about each (RFC 7662) (door)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from remit.credential import Credential, UnverifiedToken
from remit.errors import (
    ClaimInvalid,
    IntrospectionUnavailable,
    IssuerUntrusted,
    SettingsInvalid,
    TokenInactive,
    TokenInvalid,
    TokenMalformed,
)
from remit.oauth import TOKEN_TYPE_ACCESS_TOKEN
from remit.tokens import strict_json
from remit.tokens.checks import check_issuer, quoted
from remit.tokens.parse import MAX_TOKEN_BYTES, parse
from remit.tokens.verified import Expectation, VerifiedToken, check_expected
from remit.web import Answer, AnswerTooLarge, is_secure, send_bounded

_SECONDS: Final = 5.0
_MAX_ANSWER_BYTES: Final = 64 * 1024
#: How long an answer counts, in seconds: a token that was revoked is good for no longer.
_REMEMBER_ACTIVE: Final = 30.0
_REMEMBER_REFUSED: Final = 5.0
#: Questions in the air at once: whoever sends any number of made-up tokens does not have the issuer asked so often.
_MAX_FLIGHTS: Final = 64
#: RFC 7662 §2.2 requires none of these, and what an answer says of a token was not signed at one time.
_NOT_NEEDED: Final = frozenset({"iat", "jti"})
#: What kind of token it is, as servers say it. An issuer answers ``active`` for refresh tokens, too.
_KINDS: Final[Mapping[str, frozenset[str]]] = {
    "token_type": frozenset({"bearer", "dpop", "access_token", TOKEN_TYPE_ACCESS_TOKEN}),
    "token_use": frozenset({"access", "access_token"}),
    "typ": frozenset({"bearer", "dpop", "at+jwt", "jwt"}),
}


@dataclass(frozen=True, slots=True)
class IntrospectionEndpoint:
    """Where an issuer is asked, and what proves this side to it: header fields and form fields, which are secret."""

    issuer: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not is_secure(self.url):
            raise SettingsInvalid(
                f'the introspection endpoint "{self.url}" is not https', hint="give the issuer's https endpoint"
            )


@dataclass(frozen=True, slots=True)
class _Known:
    """What the issuer said at ``at``, which counts until ``until``: the token, or why it is none."""

    at: float
    until: float
    outcome: VerifiedToken | TokenInvalid


class IntrospectedTokens:
    """The tokens of one issuer, which is asked about each.

    What it says of a token counts for half a minute and no longer than the token; that a token is no good counts for
    five seconds. Those who ask about the same token at once share one question. Whether the issuer cannot be reached
    or its answer cannot be used: the token is not taken.
    """

    def __init__(
        self,
        endpoint: IntrospectionEndpoint,
        *,
        client: httpx.AsyncClient,
        max_bytes: int = MAX_TOKEN_BYTES,
        cache_size: int = 4096,
    ) -> None:
        self.issuer = endpoint.issuer
        self._endpoint = endpoint
        self._client = client
        self._max_bytes = max_bytes
        self._active = _Memory(cache_size)
        self._refused = _Memory(cache_size)
        self._flights: dict[bytes, asyncio.Task[_Known]] = {}

    async def verify(self, token: UnverifiedToken, expect: Expectation, *, now: float) -> VerifiedToken:
        """The token as the issuer describes it. ``now``: seconds since the epoch.

        1. It is short and printable; one that is a JWT names this issuer. No other issuer's token is shown to it.
        2. The issuer says ``active``, names no other issuer, and does not say that it is another kind of token.
        3. Every known claim has a value it may have (``VerifiedToken``).
        4. The token is for this place and this time, as ``TokenVerifier`` has it; ``iat`` and ``jti`` may be missing,
           and there is no header with a ``typ``.

        Raises a leaf of ``TokenInvalid``, or ``IntrospectionUnavailable``.
        """
        self._check_shown(token)  # 1
        known = self._recall(token.digest, now) or await self._asked(token, now)  # 2 3
        if isinstance(known.outcome, TokenInvalid):
            raise type(known.outcome)(known.outcome.message, detail=known.outcome.detail)
        check_expected(known.outcome, expect, now=now, required=expect.required - _NOT_NEEDED)  # 4
        return known.outcome

    def _check_shown(self, token: UnverifiedToken) -> None:
        text = token.reveal()
        if is_signed(token):
            check_issuer(parse(token, max_bytes=self._max_bytes).claims, {self.issuer})
        elif not text or len(text) > self._max_bytes or not text.isascii() or not text.isprintable():
            raise TokenMalformed(f"token cannot be read: not up to {self._max_bytes} printable characters")

    def _recall(self, digest: bytes, now: float) -> _Known | None:
        return self._active.recall(digest, now) or self._refused.recall(digest, now)

    async def _asked(self, token: UnverifiedToken, now: float) -> _Known:
        flight = self._flights.get(token.digest)
        if flight is None:
            if len(self._flights) >= _MAX_FLIGHTS:
                raise self._unavailable(f"{_MAX_FLIGHTS} questions are waiting for an answer")
            flight = asyncio.create_task(self._ask(token, now))
            self._flights[token.digest] = flight
            # An error nobody waits for any more is nobody's; without this the loop would log it.
            flight.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Shielded: a caller that gives up does not take the answer from the others.
        return await asyncio.shield(flight)

    async def _ask(self, token: UnverifiedToken, now: float) -> _Known:
        try:
            document = _read(await self._send(token))
        except (httpx.HTTPError, TimeoutError, AnswerTooLarge, ValueError) as error:
            raise self._unavailable(f"{type(error).__name__}: {error}") from error
        finally:
            del self._flights[token.digest]
        try:
            verified = self._described(token, document)
        except TokenInvalid as error:
            return self._refused.keep(token.digest, _Known(now, now + _REMEMBER_REFUSED, error.with_traceback(None)))
        until = min(now + _REMEMBER_ACTIVE, verified.expires_at)
        return self._active.keep(token.digest, _Known(now, until, verified))

    async def _send(self, token: UnverifiedToken) -> Answer:
        # The issuer that the token is of is its one reader here.
        form = [("token", token.reveal()), ("token_type_hint", "access_token"), *self._endpoint.fields]
        headers = [
            ("Accept", "application/json"),
            ("Content-Type", "application/x-www-form-urlencoded"),
            *self._endpoint.headers,
        ]
        body = urlencode(form).encode("ascii")
        request = self._client.build_request("POST", self._endpoint.url, headers=headers, content=body)
        return await send_bounded(self._client, request, seconds=_SECONDS, max_bytes=_MAX_ANSWER_BYTES)

    def _described(self, token: UnverifiedToken, document: Mapping[str, Any]) -> VerifiedToken:
        if not document["active"]:
            raise TokenInactive("the token is not active")
        if (issuer := document.get("iss", self.issuer)) != self.issuer:
            raise IssuerUntrusted(f"the issuer says that the token is of issuer {quoted(issuer)}")
        for name, accepted in _KINDS.items():
            kind = document.get(name)
            if name in document and not (isinstance(kind, str) and kind.lower() in accepted):
                raise ClaimInvalid(f"the issuer says that this is no access token ({name} {quoted(kind)})")
        claims = {name: value for name, value in document.items() if name != "active"}
        return VerifiedToken(Credential(token.reveal()), {}, {**claims, "iss": self.issuer})

    def _unavailable(self, trouble: str) -> IntrospectionUnavailable:
        return IntrospectionUnavailable(
            "the issuer cannot be asked about the token now",
            detail=f"{self._endpoint.url}: {trouble}",
            hint="check that the issuer's introspection endpoint answers this client with RFC 7662 JSON",
        )


def is_signed(token: UnverifiedToken) -> bool:
    """Whether a token has the three parts of a JWS (RFC 7515 §7.1). Its text goes nowhere."""
    return token.reveal().count(".") == 2


def _read(answer: Answer) -> dict[str, Any]:
    """The answer's document, of which ``active`` is yes or no. Raises ``ValueError``."""
    if answer.status != 200:
        raise ValueError(f"status {answer.status}")
    document = strict_json.loads(answer.body)
    if not isinstance(document, dict) or not isinstance(document.get("active"), bool):
        raise ValueError("the answer does not say whether the token is active")  # noqa: TRY004  one trouble for every bad answer
    return document


class _Memory:
    """What is known of tokens, by SHA-256 of their text; the one unused for longest makes room."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[bytes, _Known] = OrderedDict()

    def recall(self, digest: bytes, now: float) -> _Known | None:
        """What counts now."""
        known = self._entries.get(digest)
        if known is None:
            return None
        # A clock that was set back makes an entry from the future: it counts no more than an old one.
        if not known.at <= now < known.until:
            del self._entries[digest]
            return None
        self._entries.move_to_end(digest)
        return known

    def keep(self, digest: bytes, known: _Known) -> _Known:
        """Remember and return it."""
        self._entries[digest] = known
        self._entries.move_to_end(digest)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)
        return known
