"""Rule: is the issued token the one that was asked for?

Services get this wrong silently: some ignore ``actor_token``, some widen ``scope`` or ``aud``. Every difference
refuses the call with ``DelegationMismatch``, which names the claim, what was expected and what came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn

from remit import oauth
from remit.credential import Credential
from remit.errors import DelegationMismatch
from remit.exchange.declared import NOTHING_DECLARED, Declared
from remit.exchange.messages import IssuedToken, Wanted
from remit.principal import Actor, DelegationChain, Principal
from remit.tokens.verifier import VerifiedToken

#: How far the token service's clock may be ahead of this one, in seconds.
LEEWAY: Final = 30
_MAX_SHOWN: Final = 300


@dataclass(frozen=True, slots=True)
class Asked:
    """What an exchange was asked for: on whose behalf, by whom, for what, and who asked.

    ``actor`` is who must be the token's current actor; without ``iss`` the token's own issuer is meant. ``before`` are
    the actors that must stand below it.
    """

    principal: Principal
    subject_token: Credential
    actor: Actor
    client_id: str
    wanted: Wanted
    before: DelegationChain = field(default_factory=DelegationChain)


def check_answer(
    asked: Asked, issued: IssuedToken, token: VerifiedToken, declared: Declared = NOTHING_DECLARED, *, now: float
) -> None:
    """Check a verified token against what was asked (after RFC 8693 §2.2.1 and §4.1), claim by claim.

    Raises ``DelegationMismatch``. This does NOT verify the signature, issuer or expiry: ``token`` is verified.
    """
    check_kind(asked, issued)
    check_profile(asked, token)
    check_subject(asked, token)
    check_audience(asked, token, declared)
    check_scope(asked, issued, token)
    check_client(asked, token, declared)
    check_actor(asked, token, declared)
    check_lifetime(asked, token, declared, now=now)


def check_own_token(
    client_id: str, wanted: Wanted, issued: IssuedToken, token: VerifiedToken, declared: Declared, *, now: float
) -> None:
    """Check a verified token that ``client_id`` asked for itself, with no user in it. Raises ``DelegationMismatch``.

    Its ``sub`` is whatever the service calls that client by (RFC 9068 §2.2), so it is not compared.
    """
    _check_type(issued)
    _check_target(wanted, token, declared)
    _check_scopes(frozenset(wanted.scopes), issued, token)
    _check_client_id(client_id, token, declared)
    if token.parties.chain.actors:
        _refuse("act", "none", _drawn(token.parties.chain.actors))
    _check_seconds(wanted.max_lifetime, token, now=now)


def check_kind(asked: Asked, issued: IssuedToken) -> None:
    """An access token was asked for, and not the one that was sent."""
    _check_type(issued)
    if issued.access_token == asked.subject_token:
        _refuse("access_token", "a new token", "the subject token itself")


def check_profile(asked: Asked, token: VerifiedToken) -> None:
    """Who acts for whom is said in the profile that was wanted; a token in which nobody acts is of none."""
    if token.profile not in (None, asked.wanted.profile):
        _refuse("dlg", asked.wanted.profile, str(token.profile))


def check_subject(asked: Asked, token: VerifiedToken) -> None:
    """The principal stays who they are: ``sub``, or in the ``workload`` profile the innermost ``act``.

    Where another issuer proved them and the token says so (``sub_iss``), it names that issuer.
    """
    principal, issuer = token.parties.principal, asked.principal.issuer
    if principal.sub != asked.principal.subject:
        _refuse("sub", asked.principal.subject, principal.sub)
    if issuer != token.issuer and principal.iss not in (issuer, token.issuer):
        _refuse("sub_iss", issuer, principal.iss)


def check_audience(asked: Asked, token: VerifiedToken, declared: Declared) -> None:
    """The token is for the target and for nobody else."""
    _check_target(asked.wanted, token, declared)


def _check_type(issued: IssuedToken) -> None:
    if issued.issued_token_type not in ("", oauth.TOKEN_TYPE_ACCESS_TOKEN):
        _refuse("issued_token_type", oauth.TOKEN_TYPE_ACCESS_TOKEN, issued.issued_token_type)


def _check_target(wanted: Wanted, token: VerifiedToken, declared: Declared) -> None:
    names = wanted.target.names
    missing = declared.aud_required and not token.audience
    if missing or not names.issuperset(token.audience):
        _refuse("aud", " or ".join(sorted(names)), ", ".join(token.audience) or "none")


def check_scope(asked: Asked, issued: IssuedToken, token: VerifiedToken) -> None:
    """No scope that was not asked for; where none was named, none that the subject token does not hold."""
    _check_scopes(frozenset(asked.wanted.scopes or asked.principal.scopes), issued, token)


def _check_scopes(bound: frozenset[str], issued: IssuedToken, token: VerifiedToken) -> None:
    for scopes in (token.scopes, oauth.parse_scope(issued.scope or "")):
        if not bound.issuperset(scopes):
            _refuse("scope", f"at most {oauth.format_scope(sorted(bound)) or 'none'}", oauth.format_scope(scopes))


def check_client(asked: Asked, token: VerifiedToken, declared: Declared) -> None:
    """The current caller is the client that asked, in every profile (RFC 8693 §4.3)."""
    _check_client_id(asked.client_id, token, declared)


def _check_client_id(expected: str, token: VerifiedToken, declared: Declared) -> None:
    client_id = token.claims.get(declared.client_claim)
    if client_id != expected:
        _refuse(declared.client_claim, expected, str(client_id or "none"))


def check_actor(asked: Asked, token: VerifiedToken, declared: Declared) -> None:
    """The actor is the current one, and the chain that came in is kept below it, whole and in order.

    Where the actor was the current one already, the chain may also stay as it was.
    """
    if not token.chain and not declared.act_required:
        return
    issuer = token.issuer
    actor = Actor(asked.actor.sub, asked.actor.iss or issuer)
    before = list(asked.before.actors)
    after = list(token.parties.chain.actors)
    if not after:
        _refuse("act", _drawn([actor]), "none: the token service did not express the delegation")
    if after == [actor, *before]:
        return
    if before and before[0] == actor and after == before:
        return
    _refuse("act", _drawn([actor, *before]), _drawn(after))


def check_lifetime(asked: Asked, token: VerifiedToken, declared: Declared, *, now: float) -> None:
    """As short as was asked, by its own dates exactly and by this clock nearly, and not beyond the subject token."""
    _check_seconds(asked.wanted.max_lifetime, token, now=now)
    end = asked.principal.expires_at
    if declared.within_subject and end and token.expires_at > end:
        _refuse("exp", "not after the subject token's", f"{token.expires_at - end} seconds later")


def _check_seconds(longest: int, token: VerifiedToken, *, now: float) -> None:
    lifetime = token.expires_at - token.issued_at
    if lifetime > longest:
        _refuse("exp", f"at most {longest} seconds after iat", f"{lifetime} seconds")
    if token.expires_at - now > longest + LEEWAY:
        _refuse("exp", f"at most {longest} seconds from now", f"{token.expires_at - now:.0f} seconds")


def _drawn(actors: Sequence[Actor]) -> str:
    return " ← ".join(f"{actor.sub} ({actor.iss})" for actor in reversed(actors))


def _refuse(claim: str, expected: str, got: str) -> NoReturn:
    raise DelegationMismatch(
        f'the token service issued another token than was asked for: "{claim}" differs',
        claim=claim,
        detail=f"{claim}: expected {expected[:_MAX_SHOWN]}, got {got[:_MAX_SHOWN]}",
        hint="compare the token service's configuration for this client and target with the tool's auth section",
    )
