"""Rule: may this client have that token, and what may stand in it. One function per step of the exchange.

Each raises the ``GrantError`` leaf that RFC 8693 §2.2.2 has for its step: ``InvalidRequest`` for a subject or
actor token that is "invalid for any reason, or … unacceptable based on policy", ``InvalidTarget`` for a target.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from remit.errors import InvalidRequest, InvalidScope, InvalidTarget
from remit.principal import Actor, Parties, Profile
from remit.sts.clients import Client, TargetRule
from remit.tokens.verifier import VerifiedToken

#: A subject or actor token with no more seconds than this is refused: its child would be of no use.
MIN_REMAINING: Final = 5
_MAY_ACT_MEMBERS: Final = frozenset({"sub", "iss", "client_id"})


def check_target(client: Client, targets: frozenset[str]) -> TargetRule:
    """Every name in the request means the same one target, and the client has a rule for it."""
    if not targets:
        raise InvalidTarget("audience or resource is missing")
    rules = {client.rule_for(name) for name in targets}
    rule = rules.pop()
    if rule is None or rules:
        raise InvalidTarget("this client may not have a token for this audience or resource, or for several at once")
    if rule.profile is Profile.WORKLOAD and client.profile is not Profile.WORKLOAD:
        raise InvalidTarget("this client may not have a token of the profile that this target needs")
    return rule


def check_direct(client: Client, targets: frozenset[str]) -> TargetRule:
    """The client may have a token of its own there, with no user behind it."""
    rule = check_target(client, targets)
    if not rule.direct:
        raise InvalidTarget("this client may have tokens for this target only on behalf of somebody")
    return rule


def check_bearer(token: VerifiedToken, parameter: str) -> None:
    """A token bound to a key (RFC 7800) is refused: a thief could exchange it without the key."""
    if "cnf" in token.claims:
        raise InvalidRequest(f"{parameter} is bound to a key, which is not supported")


def check_profile(profile: Profile | None, rule: TargetRule) -> None:
    """A token of one profile is not exchanged under the other, unless the rule says so.

    One in which nobody acts is of neither (``None``), and may begin both.
    """
    if profile not in (None, rule.profile) and not rule.bridge:
        raise InvalidRequest("subject_token is of another delegation profile than this target takes")


def check_actor_sent(actor_token: object, rule: TargetRule) -> None:
    """Some targets need the actor's own credential, not only the client's authentication."""
    if rule.require_actor and actor_token is None:
        raise InvalidRequest("actor_token is missing, and this target needs one")


def check_actor_token(actor: VerifiedToken, subject: VerifiedToken, client: Client) -> None:
    """The actor token is the authenticated client's own, direct credential.

    Nothing in RFC 8693 binds it to the client; without this a client could name any actor whose token it saw.
    """
    if actor.chain:
        raise InvalidRequest("actor_token is itself a delegated token")
    if not actor.client_id == actor.subject == client.client_id:
        raise InvalidRequest("actor_token is not the authenticated client's own")
    if actor.jti == subject.jti:
        raise InvalidRequest("actor_token and subject_token are the same token")


def check_not_self(actor: Actor, parties: Parties) -> None:
    """Nobody acts for themselves: that would be no delegation."""
    if actor == parties.principal:
        raise InvalidRequest("the actor and the subject are the same party")


def check_may_act(claims: Mapping[str, Any], actor: Actor, *, required: bool) -> None:
    """``may_act`` (RFC 8693 §4.4), where it is there or ``required``, must name the actor, actor token or not.

    A member that is not understood might narrow who is meant, so it refuses.
    """
    if "may_act" not in claims:
        if required:
            raise InvalidRequest("subject_token has no may_act, and this client needs one")
        return
    may_act = claims["may_act"]
    if not isinstance(may_act, Mapping) or not may_act.keys() <= _MAY_ACT_MEMBERS:
        raise InvalidRequest("subject_token has a may_act that cannot be read")
    # In this service an actor's sub is its client_id.
    named = [may_act[member] for member in ("sub", "client_id") if member in may_act]
    if not named or any(name != actor.sub for name in named) or may_act.get("iss", actor.iss) != actor.iss:
        raise InvalidRequest("subject_token does not allow this actor")


def narrow_scope(requested: tuple[str, ...], rule: TargetRule, held: tuple[str, ...]) -> tuple[str, ...]:
    """Requested ∩ allowed ∩ what the subject token holds or the rule translates from what it holds.

    What is asked for in vain is refused, not dropped. A subject token without scope has none; an exchange never
    makes one up.
    """
    allowed = rule.scopes_for(held)
    if not set(requested) <= set(allowed):
        raise InvalidScope("scope is wider than the client and the subject token allow")
    if not allowed:
        raise InvalidScope("the subject token has no scope that may be given for this target")
    return requested or allowed


def direct_scope(requested: tuple[str, ...], rule: TargetRule) -> tuple[str, ...]:
    """What a client's own token may hold: requested ∩ allowed, refused and not dropped."""
    if not set(requested) <= set(rule.scopes):
        raise InvalidScope("scope is wider than the client is allowed")
    return requested or rule.scopes


def extend_chain(parties: Parties, actor: Actor, max_depth: int) -> Parties:
    """The parties after ``actor`` took over (RFC 8693 §4.1): the chain is never shortened, never reordered.

    The same actor again leaves it as it is; an actor that comes back after another is a loop.
    """
    chain = parties.chain
    if chain.current != actor:
        if actor in chain.actors:
            raise InvalidRequest("the actor is already an earlier one of the subject token's chain")
        chain = chain.then(actor)
    if len(chain) > max_depth:
        raise InvalidRequest("the delegation chain would be too long")
    return Parties(parties.principal, chain)


def lifetime(limits: tuple[int, ...], parents: tuple[VerifiedToken, ...], *, now: int) -> int:
    """Seconds: the least of ``limits`` (0: no limit) and of what the parent tokens have left."""
    remaining = [parent.expires_at - now for parent in parents]
    if min(remaining, default=MIN_REMAINING + 1) <= MIN_REMAINING:
        raise InvalidRequest("subject_token or actor_token is about to expire")
    return min([*(limit for limit in limits if limit), *remaining])
