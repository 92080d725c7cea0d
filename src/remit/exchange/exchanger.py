"""Path: from a caller and an acting party to a delegated token that is exactly what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from remit.clock import Clock
from remit.credential import Credential, UnverifiedToken
from remit.errors import (
    AudienceMismatch,
    DelegationMismatch,
    ExchangeInvalid,
    ExchangeRefused,
    ExchangeUnavailable,
    KeysUnavailable,
    TokenInvalid,
)
from remit.exchange.answer import Asked, check_answer, check_own_token
from remit.exchange.declared import NOTHING_DECLARED, Declared
from remit.exchange.messages import ClientCredentialsRequest, IssuedToken, Target, TokenExchangeRequest, Wanted
from remit.exchange.service import TokenService
from remit.principal import ActingParty, Actor, Caller, DelegationChain, Principal, Profile, chain_with_client
from remit.tokens.verifier import TokenVerifier, VerifiedToken

#: ``DelegatedToken.kind``: the actor is visible in the token (RFC 8693 §1.1), as opposed to impersonation.
DELEGATED: Final = "delegated"
#: The token looks like the user's own. Only a service that was declared to name no actor may issue one.
IMPERSONATED: Final = "impersonated"
#: The token is this installation's own, and names no user at all.
DIRECT: Final = "direct"
_PROFILES: Final = frozenset(Profile)


@dataclass(frozen=True, slots=True)
class DelegatedToken:
    """A token for one API that names the user and the agent runner. ``repr`` shows neither token nor claims.

    ``kind`` is ``DELEGATED``, ``IMPERSONATED`` where it names nobody but the user, or ``DIRECT`` where it does not name
    the user.
    """

    credential: Credential
    claims: Mapping[str, Any] = field(repr=False)
    target: Target
    scopes: tuple[str, ...]
    chain: DelegationChain
    jti: str
    expires_at: int
    kind: str = DELEGATED


class Exchanger:
    """Exchanges at one token service. ``verifier`` must trust that service's issuer and no other.

    ``declared``: how its tokens differ from what the RFCs say. ``own_clients``: as for ``chain_with_client``, if the
    service keeps the subject's client as a link of the chain. ``own_targets``: the APIs that may be called with a token
    of this installation's own, by audience or resource.
    """

    def __init__(
        self,
        service: TokenService,
        verifier: TokenVerifier,
        clock: Clock,
        *,
        declared: Declared = NOTHING_DECLARED,
        own_clients: frozenset[str] | None = None,
        own_targets: frozenset[str] = frozenset(),
    ) -> None:
        self._service = service
        self._verifier = verifier
        self._clock = clock
        self._declared = declared
        self._own_clients = own_clients
        self._own_targets = own_targets

    @property
    def service(self) -> TokenService:
        """The token service that is asked."""
        return self._service

    async def delegated_token(self, caller: Caller, acting: ActingParty, wanted: Wanted) -> DelegatedToken:
        """A token for ``wanted`` on behalf of ``caller``, acted for by ``acting``.

        1. **build** the request: subject token, the actor's own token if it has one, target, scopes, lifetime;
        2. **issue**: ask the token service;
        3. **verify** the token that came: it must be a JWT, signed by that service, for this target;
        4. **check** it against the request, claim by claim.

        Raises leaves of ``ExchangeError``.
        """
        request = self.request(caller, acting, wanted)  # 1
        issued = await self._service.issue(request)  # 2
        token = await self._verify(issued, wanted)  # 3
        asked = Asked(
            principal=caller.principal,
            subject_token=caller.subject_token,
            actor=self._expected_actor(acting),
            before=self._expected_before(caller.principal),
            client_id=self._service.client_id,
            wanted=wanted,
        )
        check_answer(asked, issued, token, self._declared, now=self._clock.now())  # 4
        return DelegatedToken(
            credential=issued.access_token,
            claims=token.claims,
            target=wanted.target,
            scopes=token.scopes,
            chain=token.parties.chain,
            jti=token.jti,
            expires_at=token.expires_at,
            kind=DELEGATED if token.chain else IMPERSONATED,
        )

    async def own_token(self, wanted: Wanted) -> DelegatedToken:
        """A token for ``wanted`` of this installation's own, in which there is no user (RFC 6749 §4.4).

        The same steps; none is kept for another call. Raises leaves of ``ExchangeError``.
        """
        if not wanted.target.names <= self._own_targets:
            raise ExchangeRefused(
                "this API may not be called with a token that does not name the user",
                error="invalid_target",
                detail=f"{' or '.join(sorted(wanted.target.names))} is not in exchange.own_token_targets",
                hint="name it in exchange.own_token_targets, or let the tool file exchange the user's token",
            )
        request = ClientCredentialsRequest(wanted.target, wanted.scopes, wanted.max_lifetime)  # 1
        issued = await self._service.issue(request)  # 2
        token = await self._verify(issued, wanted)  # 3
        check_own_token(self._service.client_id, wanted, issued, token, self._declared, now=self._clock.now())  # 4
        return DelegatedToken(
            credential=issued.access_token,
            claims=token.claims,
            target=wanted.target,
            scopes=token.scopes,
            chain=DelegationChain(),
            jti=token.jti,
            expires_at=token.expires_at,
            kind=DIRECT,
        )

    def request(self, caller: Caller, acting: ActingParty, wanted: Wanted) -> TokenExchangeRequest:
        """What will be asked; ``describe()`` of it is fit to be shown."""
        return TokenExchangeRequest(
            subject_token=caller.subject_token,
            target=wanted.target,
            scopes=wanted.scopes,
            actor_token=acting.token,
            requested_expires_in=wanted.max_lifetime,
        )

    def _expected_actor(self, acting: ActingParty) -> Actor:
        """Without an actor token the service takes the authenticated client for the actor, whoever acts."""
        return acting.via or acting.actor if acting.token is not None else Actor(self._service.client_id)

    def _expected_before(self, principal: Principal) -> DelegationChain:
        """Who acted before: the chain that came in, each with its issuer."""
        issuer = principal.token_issuer or principal.issuer
        return chain_with_client(principal.chain, principal.client_id, issuer, self._own_clients).within(issuer)

    async def _verify(self, issued: IssuedToken, wanted: Wanted) -> VerifiedToken:
        """Errors change their branch here: a bad *issued* token is not the caller's fault."""
        # Of either profile: which one it must be is a matter of what was asked, and ``check_answer`` says so.
        expect = replace(self._declared.expectation(wanted.target.names), profiles=_PROFILES)
        token = UnverifiedToken(issued.access_token.reveal())
        try:
            return await self._verifier.verify(token, expect, now=self._clock.now())
        except AudienceMismatch as error:
            raise DelegationMismatch(
                'the token service issued another token than was asked for: "aud" differs',
                claim="aud",
                detail=error.message,
                hint="compare the audience the token service gives for this target with the tool's auth section",
            ) from error
        except TokenInvalid as error:
            raise ExchangeInvalid(
                "the token service issued a token that cannot be accepted",
                detail=f"{error.code}: {error.message}",
                hint="check exchange.issuer, .algorithms and .typ; declare in exchange.expect how its tokens differ",
            ) from error
        except KeysUnavailable as error:
            raise ExchangeUnavailable("the token service's keys cannot be had now", detail=error.message) from error
