"""Path: the identity assertion of another provider → an access token (ID-JAG, RFC 7523 §2.1).

draft-ietf-oauth-identity-assertion-authz-grant: an identity provider says that a person may use this service through
a client, and nobody need be asked here. What an assertion says that has no meaning here is not passed over: one that
names an actor, a tenant or finer permissions would come to mean more than its issuer said.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from remit import oauth
from remit.authorization.authorizations import Authorizations, Issued
from remit.authorization.claims import PersonClaims, read_sign_in
from remit.authorization.client import SignInClient
from remit.authorization.consent import may_be_given
from remit.authorization.person import SignIn
from remit.credential import UnverifiedToken
from remit.errors import (
    ClaimInvalid,
    GrantUnavailable,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    KeysUnavailable,
    TokenInvalid,
    UnauthorizedClient,
)
from remit.sts.form import Form, single
from remit.sts.parameters import read_scopes, read_targets
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer, VerifiedToken

#: Seconds: an assertion is for one exchange, at once.
_MAX_LIFETIME: Final = 600
_LEEWAY: Final = 30
_REQUIRED: Final = frozenset({"iss", "sub", "aud", "client_id", "jti", "exp", "iat"})
_NOT_UNDERSTOOD: Final = ("act", "may_act", "tenant", "aud_tenant", "authorization_details")


@dataclass(frozen=True, slots=True)
class AssertionIssuer:
    """A provider whose assertions are taken. ``client_ids``: its name of a client → the client's id here."""

    trusted: TrustedIssuer
    people: PersonClaims
    client_ids: Mapping[str, str] = field(default_factory=dict, hash=False)


class IdentityAssertions:
    """The grant, for tokens for one of ``audiences``: the first where nobody names any."""

    def __init__(
        self,
        authorizations: Authorizations,
        issuers: Iterable[AssertionIssuer],
        audiences: tuple[str, ...],
        default_scopes: tuple[str, ...] = (),
    ) -> None:
        self._authorizations = authorizations
        known = tuple(issuers)
        self._verifier = TokenVerifier([each.trusted for each in known], cache_size=0)  # each is seen once
        self._issuers = {each.trusted.issuer: each for each in known}
        self._expect = Expectation(
            frozenset({authorizations.sts.issuer}),
            typ=frozenset({oauth.TYP_ID_JAG}),
            required=_REQUIRED,
            leeway=_LEEWAY,
        )
        self._audiences = audiences
        self._clock = authorizations.clock
        self._default_scopes = default_scopes

    async def grant(self, client: SignInClient, form: Form, thumbprint: str) -> Issued:
        """Take an assertion, once. ``client`` proved itself; ``thumbprint``: of the key it proved, or ``""``.

        There is no refresh token: the provider says each time whether it still holds. Raises ``InvalidGrant`` for
        every fault of the assertion (RFC 7521 §4.1.1), ``InvalidTarget``, ``InvalidScope``, ``GrantUnavailable``.
        """
        if client.is_public:
            raise UnauthorizedClient("only a client that proves itself may bring an assertion")
        text = single(form, "assertion")
        if not text:
            raise InvalidRequest("assertion is missing")
        token = await self._verify(UnverifiedToken(text))
        issuer = self._issuers[token.issuer]
        if issuer.client_ids.get(token.client_id, token.client_id) != client.client_id:
            raise InvalidGrant("the assertion was issued to another client")
        _check_claims(token)
        _check_key(token, thumbprint)
        audience = self._audience(token, form)
        sign_in = _sign_in(token, issuer.people)
        scopes = self._scopes(token, form, client, sign_in)
        await self._use_up(token)
        authorization = await self._authorizations.start(client, sign_in, audience, scopes)
        return await self._authorizations.issue(authorization, scopes=scopes, thumbprint=thumbprint, refresh=False)

    async def _verify(self, assertion: UnverifiedToken) -> VerifiedToken:
        try:
            token = await self._verifier.verify(assertion, self._expect, now=self._clock.now())
        except TokenInvalid as error:
            raise _refused(f"{error.code}: {error.message}") from error
        except KeysUnavailable as error:
            raise GrantUnavailable("the assertion cannot be verified now", detail=error.message) from error
        if len(token.audience) != 1:
            raise _refused("it is for somebody else as well")
        return token

    def _audience(self, token: VerifiedToken, form: Form) -> str:
        """RFC 8707 §2. One token is for one resource: one that the assertion is for and the request asks for."""
        named, wanted = _resources(token), read_targets(form)
        if len(wanted) > 1:
            raise InvalidTarget("a token is for one resource, and the request names several")
        fitting = [each for each in self._audiences if (not named or each in named) and (not wanted or each in wanted)]
        if not fitting:
            raise InvalidTarget("no tokens are issued here for that resource, or not with this assertion")
        return fitting[0]

    def _scopes(self, token: VerifiedToken, form: Form, client: SignInClient, sign_in: SignIn) -> tuple[str, ...]:
        """Of what is asked for, else of what the assertion holds: what assertion, settings and client all allow."""
        requested = read_scopes(form)
        limited = "scope" in token.claims
        wanted = [each for each in requested or token.scopes if not limited or each in token.scopes]
        nothing = limited and not wanted
        given = () if nothing else may_be_given(wanted, sign_in.person, client, self._default_scopes)
        if not given and (requested or token.scopes):
            raise InvalidScope("none of these scopes may be given with this assertion")
        return given

    async def _use_up(self, token: VerifiedToken) -> None:
        """Last: of many that bring one assertion at once, one gets through. What was refused may be tried again."""
        key = f"{token.issuer} {token.jti}"
        if not await self._authorizations.file.use_once("assertion", key, until=token.expires_at + _LEEWAY):
            raise InvalidGrant("the assertion was used before")


def _check_claims(token: VerifiedToken) -> None:
    if token.expires_at - token.issued_at > _MAX_LIFETIME:
        raise _refused(f"it lives longer than {_MAX_LIFETIME} seconds")
    for name in _NOT_UNDERSTOOD:
        if name in token.claims:
            raise InvalidGrant(f"the assertion has {name}, which is not understood here")


def _check_key(token: VerifiedToken, thumbprint: str) -> None:
    """An assertion for the holder of a key is worth nothing to anybody else (RFC 7800, RFC 9449 §6.1)."""
    if "cnf" not in token.claims:
        return
    confirmation = token.claims["cnf"]
    bound_to = confirmation.get("jkt") if isinstance(confirmation, dict) and len(confirmation) == 1 else None
    if not isinstance(bound_to, str):
        raise _refused("cnf binds it in a way that is not known here")
    if not thumbprint or not hmac.compare_digest(bound_to.encode(), thumbprint.encode()):
        raise InvalidGrant("the assertion is bound to a key, and the request proves another or none")


def _resources(token: VerifiedToken) -> frozenset[str]:
    """The claim ``resource``, a URI or a list of them; empty where it is absent."""
    value: Any = token.claims.get("resource", [])
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) and each for each in values):
        raise _refused("resource is no URI or list of URIs")
    if "resource" in token.claims and not values:
        raise _refused("resource is empty")
    return frozenset(values)


def _sign_in(token: VerifiedToken, people: PersonClaims) -> SignIn:
    try:
        return read_sign_in(token, people)
    except ClaimInvalid as error:
        raise _refused(error.message) from error


def _refused(rule: str) -> InvalidGrant:
    return InvalidGrant("the assertion is not acceptable", detail=rule)
