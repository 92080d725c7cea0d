"""Noun and rule: whether a token may be issued, asked of somebody who is no part of this service, and what is left.

Whoever is asked can take scopes and seconds away, or all of it. What they would add counts for nothing (``within``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Protocol

from remit.errors import AccessDenied
from remit.sts.clients import TargetRule
from remit.sts.minting import Grant
from remit.sts.subject import Subject
from remit.sts.watch import Watch


@dataclass(frozen=True, slots=True)
class Proposal:
    """A token as it would be issued: every check of this service has been passed.

    ``grant`` has the parties with the new actor, the client, the scopes and the lifetime. ``subject``: the token it is
    exchanged for; without one it is the client's own, with no user behind it. ``actor_token``: one was sent.
    """

    grant: Grant
    rule: TargetRule
    subject: Subject | None = None
    actor_token: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """What a token may hold at most, and for how many seconds."""

    scopes: tuple[str, ...]
    lifetime: int


class ExchangePolicy(Protocol):
    """Is asked about every token for an API, whoever asks for it and over which way."""

    async def terms(self, proposal: Proposal, watch: Watch) -> Terms:
        """Under which terms it may be issued; ``watch`` is told the decision. Raises ``AccessDenied``."""
        ...


class NotAsked:
    """Permits what the service's own rules permit: for an installation that decides nothing more."""

    async def terms(self, proposal: Proposal, _: Watch) -> Terms:
        """See ``ExchangePolicy.terms``."""
        return Terms(proposal.grant.scopes, proposal.grant.lifetime)


NOT_ASKED: Final = NotAsked()


def within(grant: Grant, terms: Terms) -> Grant:
    """``grant`` under ``terms``: common scopes in their own order, the shorter lifetime. Raises ``AccessDenied``."""
    scopes = tuple(scope for scope in grant.scopes if scope in terms.scopes)
    seconds = min(grant.lifetime, terms.lifetime)
    if not scopes or seconds < 1:
        raise AccessDenied("policy leaves nothing of what was asked for", detail=f"{len(scopes)} scopes, {seconds} s")
    return replace(grant, scopes=scopes, lifetime=seconds)
