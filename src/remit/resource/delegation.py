"""Who calls this API on whose behalf, and what that permits (noun)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from remit.credential import Credential
from remit.errors import ClaimInvalid, PolicyDenied, ScopeInsufficient
from remit.oauth import format_scope, parse_scope
from remit.principal import DelegationChain
from remit.tokens.verifier import VerifiedToken


@dataclass(frozen=True, slots=True)
class Delegation:
    """A verified token as an API reads it: ``actor`` acts for ``subject``, sent by ``client_id``.

    ``actor`` is the current actor, the only one that counts for access (RFC 8693 §4.1), or ``""`` where the
    subject calls directly; ``chain`` tells the earlier ones, for the record only. ``expires_at`` is in seconds since
    the epoch. ``subject_token`` is the token itself, for an exchange that calls a further API: it goes nowhere else.
    """

    subject: str
    issuer: str
    actor: str
    client_id: str
    scopes: tuple[str, ...]
    expires_at: int
    jti: str
    txn: str = ""
    chain: DelegationChain = field(default_factory=DelegationChain)
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    subject_token: Credential = field(kw_only=True, repr=False, compare=False)

    @classmethod
    def from_token(cls, token: VerifiedToken) -> Delegation:
        """Read a token of the ``rfc8693`` profile: ``sub`` is the user, ``act`` the actor.

        Raises ``ClaimInvalid`` for a token that says by ``dlg`` it is to be read otherwise.
        """
        if token.claims.get("dlg", "rfc8693") != "rfc8693":
            raise ClaimInvalid("claim dlg names a delegation profile that is not accepted here")
        current = token.chain.current
        return cls(
            subject=token.subject,
            issuer=token.issuer,
            actor=current.sub if current else "",
            client_id=token.client_id,
            scopes=token.scopes,
            expires_at=token.expires_at,
            jti=token.jti,
            txn=token.txn,
            chain=token.chain,
            claims=token.claims,
            subject_token=token.credential,
        )

    def require(
        self,
        *,
        scopes: str | Collection[str] = (),
        actor: str | Collection[str] | None = None,
        max_depth: int | None = None,
    ) -> None:
        """Refuse the call unless the token has all of ``scopes`` and the current actor is (one of) ``actor``.

        ``scopes`` as RFC 6749 §3.3 writes them or as a list. ``max_depth``: the longest delegation chain accepted.
        ``None`` leaves a rule out; an empty list of actors permits nobody. Raises ``ScopeInsufficient`` or
        ``PolicyDenied``, both a 403.

        This does NOT look at earlier actors: RFC 8693 §4.1 keeps them out of access control decisions.
        """
        wanted = parse_scope(scopes if isinstance(scopes, str) else format_scope(scopes))
        if not set(wanted) <= set(self.scopes):
            needed = format_scope(wanted)
            raise ScopeInsufficient(f"scope {needed} is needed", scope=needed)
        if actor is not None:
            self._require_actor({actor} if isinstance(actor, str) else set(actor))
        if max_depth is not None and len(self.chain) > max_depth:
            raise PolicyDenied(f"the delegation chain is longer than {max_depth}")

    def _require_actor(self, permitted: set[str]) -> None:
        if not self.actor or self.actor not in permitted:
            raise PolicyDenied("the actor may not do this", detail=f"actor {self.actor!r}")
