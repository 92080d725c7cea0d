"""Path: who the agent runner is, and how sure that is.

In this order, the first that is there:

1. the runner's own token, got with its own client credentials (``authenticated``);
2. the inbound token's ``act``: an issuer attests who acts for the subject (``attested``);
3. the inbound token's ``client_id``: the client the subject signed in through (``registered``);
4. this installation's own name, which only its configuration vouches for (``self_asserted``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from remit.clock import Clock
from remit.credential import Credential, UnverifiedToken
from remit.errors import ActorRevoked, TokenInvalid
from remit.principal import ActingParty, Actor, Assurance, Principal
from remit.tokens.verifier import Expectation, TokenVerifier

#: Gets the runner's own token; it may be a remembered one.
ActorTokenSource = Callable[[], Awaitable[Credential]]


class OwnToken:
    """The runner's own token, verified like any other before its ``sub`` is believed.

    ``renew`` gets one that is certainly new: for when the key that signed the remembered one was withdrawn.
    """

    def __init__(
        self,
        source: ActorTokenSource,
        verifier: TokenVerifier,
        expect: Expectation,
        clock: Clock,
        renew: ActorTokenSource | None = None,
    ) -> None:
        self._source = source
        self._verifier = verifier
        self._expect = expect
        self._clock = clock
        self._renew = renew

    async def acting_party(self) -> ActingParty:
        """The runner its own token names. Raises ``ExchangeError`` or ``AuthenticationError`` leaves."""
        try:
            return await self._read(await self._source())
        except TokenInvalid:
            if self._renew is None:
                raise
            return await self._read(await self._renew())

    async def _read(self, credential: Credential) -> ActingParty:
        token = await self._verifier.verify(UnverifiedToken(credential.reveal()), self._expect, now=self._clock.now())
        actor = Actor(sub=token.subject, iss=token.issuer)
        return ActingParty(actor, Assurance.AUTHENTICATED, "actor_token", credential)


class ActorResolver:
    """Says who acts for a principal. ``workload`` is this installation's own client id at the token service.

    ``is_revoked``: whether the operator switched an agent off, by its name.
    """

    def __init__(
        self, workload: str, own_token: OwnToken | None = None, is_revoked: Callable[[str], bool] | None = None
    ) -> None:
        self._workload = workload
        self._own_token = own_token
        self._is_revoked = is_revoked

    async def resolve(self, principal: Principal) -> ActingParty:
        """The acting party for a call of ``principal``. Raises ``ActorRevoked`` where it may act no more."""
        self._check_revoked(self._workload)
        acting = await self._find(principal)
        self._check_revoked(acting.actor.sub)
        return acting

    async def _find(self, principal: Principal) -> ActingParty:
        if self._own_token is not None:
            return await self._own_token.acting_party()
        if (attested := principal.chain.current) is not None:
            return ActingParty(attested, Assurance.ATTESTED, "act")
        if principal.client_id:
            return ActingParty(Actor(principal.client_id, principal.issuer), Assurance.REGISTERED, "client_id")
        return ActingParty(Actor(self._workload), Assurance.SELF_ASSERTED, "workload")

    def _check_revoked(self, name: str) -> None:
        if self._is_revoked is not None and self._is_revoked(name):
            raise ActorRevoked(
                "this agent has been switched off by the operator",
                detail=name,
                hint="see `remit revoke list`; `remit revoke lift NUMBER` lets it act again",
            )
