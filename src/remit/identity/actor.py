"""Path: who the agent is, and how sure that is.

Where this installation is the agent runner, in this order, the first that is there:

1. its own token, got with its own client credentials (``authenticated``);
2. the inbound token's ``act``: an issuer attests who acts for the subject (``attested``);
3. the inbound token's ``client_id``: the client the subject signed in through (``registered``);
4. its own name, which only its configuration vouches for (``self_asserted``).

Where the caller acts, and this installation passes on what they ask for: 2; then 3, as sure as its issuer is of that
client; then what the client that started this process was called when it was installed (``self_asserted``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True)
class CallerActs:
    """The client that the subject signed in through is the agent.

    ``own_clients`` are this installation's own, which act for nobody; ``launched_by`` is what the client that started
    this process was called when it was installed.
    """

    own_clients: frozenset[str]
    launched_by: str = ""


class ActorResolver:
    """Says who acts for a principal. ``workload`` is this installation's own client id at the token service.

    ``is_revoked``: whether the operator switched an agent off, by its name. ``caller_acts``: not this installation does.
    """

    def __init__(
        self,
        workload: str,
        own_token: OwnToken | None = None,
        is_revoked: Callable[[str], bool] | None = None,
        *,
        caller_acts: CallerActs | None = None,
    ) -> None:
        self._workload = workload
        self._own_token = own_token
        self._is_revoked = is_revoked
        self._caller_acts = caller_acts

    async def resolve(self, principal: Principal) -> ActingParty:
        """The acting party for a call of ``principal``. Raises ``ActorRevoked`` where it may act no more."""
        self._check_revoked(self._workload)
        acting = await self._find(principal)
        self._check_revoked(acting.actor.sub)
        return acting

    async def _find(self, principal: Principal) -> ActingParty:
        own = await self._own_token.acting_party() if self._own_token is not None else None
        if self._caller_acts is None:
            return own or _attested(principal) or _signed_in_through(principal) or self._itself()
        bridge = own or self._itself()
        agent = _attested(principal) or _calling(principal, self._caller_acts)
        return bridge if agent is None else replace(agent, token=bridge.token, via=bridge.actor)

    def _itself(self) -> ActingParty:
        return ActingParty(Actor(self._workload), Assurance.SELF_ASSERTED, "workload")

    def _check_revoked(self, name: str) -> None:
        if self._is_revoked is not None and self._is_revoked(name):
            raise ActorRevoked(
                "this agent has been switched off by the operator",
                detail=name,
                hint="see `remit revoke list`; `remit revoke lift NUMBER` lets it act again",
            )


def _attested(principal: Principal) -> ActingParty | None:
    attested = principal.chain.current
    return ActingParty(attested, Assurance.ATTESTED, "act") if attested else None


def _signed_in_through(principal: Principal) -> ActingParty | None:
    if not principal.client_id:
        return None
    client = Actor(principal.client_id, principal.token_issuer or principal.issuer)
    return ActingParty(client, principal.client_assurance or Assurance.REGISTERED, "client_id")


def _calling(principal: Principal, known: CallerActs) -> ActingParty | None:
    """The client, unless it is this installation's own; then whoever started this process."""
    if principal.client_id and principal.client_id not in known.own_clients:
        return _signed_in_through(principal)
    return ActingParty(Actor(known.launched_by), Assurance.SELF_ASSERTED, "declared") if known.launched_by else None
