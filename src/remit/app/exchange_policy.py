"""Path: a token that the embedded token service would issue → the question for policy → what is left of the token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from remit.catalog.tool import ToolAuth
from remit.clock import Clock
from remit.errors import AccessDenied, PolicyFailed
from remit.identity.subject import ClaimNames, principal_of
from remit.policy.decision import Decision, Deny, Permit
from remit.policy.engine import PolicyEngine
from remit.policy.input import ExchangeTarget, Phase, Question
from remit.policy.obligations import OF_AN_EXCHANGE, Demands
from remit.principal import ActingParty, Actor, Assurance, Principal
from remit.sts.policy import Proposal, Terms
from remit.sts.watch import Watch

#: Where policy is told the question comes from, whichever way the token service was asked; the trail has it too.
DOOR: Final = "token_endpoint"


class ExchangePolicyOf:
    """Asks ``engine`` in the phase ``token_exchange``.

    The subject is whom the subject token proves; of a client's own token it is the client, whose id is then both
    subject and actor. The actor is the client, which the token service has authenticated. ``claim_names`` maps an
    issuer to its spelling, as for ``SubjectIdentifier``. A token that was itself exchanged says nothing of its user's
    groups and roles.
    """

    def __init__(self, engine: PolicyEngine, clock: Clock, claim_names: Mapping[str, ClaimNames] | None = None) -> None:
        self._engine = engine
        self._clock = clock
        self._claim_names = dict(claim_names or {})

    async def terms(self, proposal: Proposal, watch: Watch) -> Terms:
        """See ``remit.sts.policy.ExchangePolicy``. Raises ``AccessDenied``, also where no decision could be had."""
        auth = _auth(proposal)
        question = Question(
            Phase.TOKEN_EXCHANGE,
            self._principal(proposal),
            _acting(proposal),
            ExchangeTarget(auth),
            self._clock.now(),
            door=DOOR,
            supported=OF_AN_EXCHANGE,
        )
        try:
            decision = await self._engine.decide(question.document())
            watch.decided(decision)
            left = Demands.of(_permit(decision).obligations).narrowed(auth)
        except PolicyFailed as error:
            raise AccessDenied(error.message, detail=error.detail, hint=error.hint) from error
        return Terms(left.scopes, left.max_lifetime)

    def _principal(self, proposal: Proposal) -> Principal:
        subject, grant = proposal.subject, proposal.grant
        if subject is None:
            return Principal(grant.client_id, grant.issuer, grant.client_id)
        names = self._claim_names.get(subject.token.issuer, ClaimNames())
        proved = subject.parties.principal
        # Whom it is about and what it holds is as the token service reads it: profile and issuer have rules for that.
        return replace(
            principal_of(subject.token, names),
            subject=proved.sub,
            issuer=proved.iss,
            scopes=subject.scopes,
            chain=subject.parties.chain,
        )


def _auth(proposal: Proposal) -> ToolAuth:
    grant, rule = proposal.grant, proposal.rule
    return ToolAuth(
        type="token-exchange" if proposal.subject else "client-credentials",
        audience=rule.audience,
        resource=rule.resource,
        scopes=grant.scopes,
        actor="optional",
        max_lifetime=grant.lifetime,
    )


def _acting(proposal: Proposal) -> ActingParty:
    client = Actor(proposal.grant.client_id, proposal.grant.issuer)
    return ActingParty(client, Assurance.AUTHENTICATED, "actor_token" if proposal.actor_token else "workload")


def _permit(decision: Decision) -> Permit:
    """Raises ``AccessDenied`` with the reasons for whoever asked, ``PolicyFailed`` where there is no decision."""
    if isinstance(decision, Deny) and not decision.failed:
        reasons = "; ".join(reason.message for reason in decision.user_reasons)
        raise AccessDenied(reasons or "policy does not permit this token", detail=decision.rule)
    return decision.require_permit()
