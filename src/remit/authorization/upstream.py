"""Path: somebody goes to sign in at another provider, and comes back (OpenID Connect Core §3.1)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from remit.authorization.authorization import AuthorizationRequest
from remit.authorization.claims import PersonClaims, read_sign_in
from remit.authorization.departure import LIFETIME, Departure, Secrets, read_state, secrets_of, write_state
from remit.authorization.file import AuthorizationsFile
from remit.authorization.id_token import LEEWAY, check_freshness, check_id_token
from remit.authorization.person import SignIn
from remit.authorization.provider import Provider, ProviderClient, ProviderMetadata
from remit.authorization.request import Query, read_query
from remit.clock import Clock
from remit.errors import AccessDenied, GrantUnavailable, InvalidRequest, KeysUnavailable, TokenInvalid
from remit.oauth import format_scope
from remit.sts.form import single
from remit.tokens.checks import quoted
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer, VerifiedToken

#: An ID token has no type of its own; what must not pass is a token of another kind.
_TYP: Final = frozenset({"", "jwt"})
_REQUIRED: Final = frozenset({"iss", "sub", "aud", "exp", "iat", "nonce"})
_PASSED_ON: Final = frozenset({"login", "select_account"})
#: Providers tell much of people: more than a token for an API may hold.
_MAX_TOKEN_BYTES: Final = 32 * 1024
_TRY_LATER: Final = frozenset({"server_error", "temporarily_unavailable"})


@dataclass(frozen=True, slots=True)
class UpstreamTerms:
    """What this service is at the provider, what it asks for, and what the answer means.

    ``redirect_uri`` is registered there. ``algorithms``: what its ID tokens may be signed with.
    """

    client: ProviderClient
    redirect_uri: str
    people: PersonClaims
    algorithms: frozenset[str]
    ask: tuple[str, ...] = ("openid", "profile")


class Upstream:
    """Implements ``UpstreamSignIn``. ``key`` (32 bytes) is the same in all processes."""

    def __init__(
        self, provider: Provider, terms: UpstreamTerms, file: AuthorizationsFile, clock: Clock, key: bytes
    ) -> None:
        self._provider = provider
        self._terms = terms
        self._file = file
        self._clock = clock
        self._key = key

    async def begin(self, going_to: str, browser: str, request: AuthorizationRequest | None) -> str:
        """The URL that has somebody sign in there, in the way ``request`` wants it.

        Raises ``InvalidRequest`` where ``going_to`` is too long, and ``GrantUnavailable``.
        """
        metadata = await self._provider.metadata()
        wanted = _wanted(request)
        max_age = int(wanted.get("max_age", "-1"))
        departure = Departure(secrets.token_urlsafe(16), int(self._clock.now()), going_to, max_age)
        own = secrets_of(departure, browser, self._key)
        asked = {
            "response_type": "code",
            "client_id": self._terms.client.client_id,
            "redirect_uri": self._terms.redirect_uri,
            "scope": format_scope(self._terms.ask),
            "state": write_state(departure, browser, self._key),
            "nonce": own.nonce,
            "code_challenge": own.code_challenge,
            "code_challenge_method": "S256",
            **wanted,
        }
        joint = "&" if "?" in metadata.authorization_endpoint else "?"
        return metadata.authorization_endpoint + joint + urlencode(asked)

    async def finish(self, query: str, browser: str) -> tuple[SignIn, str]:
        """Who came back, and where they were going to.

        Raises ``InvalidRequest`` for an answer that this browser did not ask for, ``AccessDenied`` where nobody was
        signed in, ``UnmetAuthentication``, ``GrantUnavailable`` and ``StateInvalid``.
        """
        answer = read_query(query)
        departure = read_state(single(answer, "state"), browser, self._key, now=self._clock.now())
        metadata = await self._provider.metadata()
        self._check_sender(answer, metadata)
        own = secrets_of(departure, browser, self._key)
        sign_in = await self._redeem(_code(answer), own, departure, metadata)
        # Last, so that only who did sign in is remembered: of many that come back at once, one gets through.
        if not await self._file.use_once("departure", departure.id, until=departure.at + LIFETIME):
            raise InvalidRequest("this sign-in has been completed before: go back to the program, and begin there")
        return sign_in, departure.going_to

    def _check_sender(self, answer: Query, metadata: ProviderMetadata) -> None:
        """RFC 9207 §2.4: an answer of another server must not be taken for this one's."""
        issuer = single(answer, "iss")
        if issuer != self._provider.issuer and (issuer or metadata.names_itself):
            raise InvalidRequest("the answer is of another provider than the one that was asked (iss)")

    async def _redeem(self, code: str, own: Secrets, departure: Departure, metadata: ProviderMetadata) -> SignIn:
        terms = self._terms
        redeemed = await self._provider.redeem(code, own.code_verifier, terms.redirect_uri, terms.client)
        trusted = TrustedIssuer(self._provider.issuer, terms.algorithms, metadata.keys)
        expect = Expectation(frozenset({terms.client.client_id}), typ=_TYP, required=_REQUIRED, leeway=LEEWAY)
        verifier = TokenVerifier([trusted], max_bytes=_MAX_TOKEN_BYTES, cache_size=0)  # each is seen once
        try:
            token: VerifiedToken = await verifier.verify(redeemed.id_token, expect, now=self._clock.now())
            access_token = redeemed.access_token.reveal()  # for its hash
            check_id_token(token, client_id=terms.client.client_id, nonce=own.nonce, access_token=access_token)
            sign_in = read_sign_in(token, terms.people)
        except TokenInvalid as error:
            detail = f"{error.code}: {error.message}"
            raise AccessDenied(
                "the provider did not say who signed in in a way that can be believed", detail=detail
            ) from error
        except KeysUnavailable as error:
            raise GrantUnavailable("the provider's answer cannot be verified now", detail=error.message) from error
        check_freshness(token, departure)
        return sign_in


def _wanted(request: AuthorizationRequest | None) -> dict[str, str]:
    """What a client wants of the sign-in. Who wants a new one is given none that is older than this moment."""
    if request is None:
        return {}
    max_age = 0 if "login" in request.prompt else request.max_age
    wanted = {
        "prompt": " ".join(sorted(request.prompt & _PASSED_ON)),
        "max_age": str(max_age) if max_age >= 0 else "",
        "acr_values": " ".join(request.acr_values),
        "login_hint": request.login_hint,
    }
    return {name: value for name, value in wanted.items() if value}


def _code(answer: Query) -> str:
    """Raises for an answer that brings none."""
    if error := single(answer, "error"):
        if error in _TRY_LATER:
            raise GrantUnavailable("nobody can sign in at the provider now", detail=quoted(error))
        raise AccessDenied("the provider did not sign you in", detail=quoted(error))
    if not (code := single(answer, "code")):
        raise InvalidRequest("the provider's answer brings no code")
    return code
