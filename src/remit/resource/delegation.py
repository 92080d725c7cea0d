"""Who calls this API on whose behalf, and what that permits (noun)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from remit.credential import Credential
from remit.errors import PolicyDenied, ScopeInsufficient
from remit.oauth import format_scope, parse_scope
from remit.principal import DelegationChain, Profile
from remit.tokens.verifier import VerifiedToken


@dataclass(frozen=True, slots=True)
class Delegation:
    """A verified token as an API reads it: ``current_actor`` acts for ``principal``, sent by ``client_id``.

    The same in both token profiles: ``profile`` says how the token was written, and is ``None`` where nobody acts.
    ``current_actor`` is the only one that counts for access (RFC 8693 §4.1), or ``""`` where the principal calls
    directly; ``chain`` has all actors, newest first, and ``origin`` is the first who acted: for the record only.
    ``issuer`` vouches for all of this; ``principal_issuer`` is who knows the principal, as ``issuer`` says: another
    one's ``alice`` is not this one's. ``expires_at`` is in seconds since the epoch. ``subject_token`` is the token
    itself, for an exchange that calls a further API: it goes nowhere else.
    """

    principal: str
    principal_issuer: str
    issuer: str
    current_actor: str
    client_id: str
    scopes: tuple[str, ...]
    expires_at: int
    jti: str
    txn: str = ""
    chain: DelegationChain = field(default_factory=DelegationChain)
    profile: Profile | None = None
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    subject_token: Credential = field(kw_only=True, repr=False, compare=False)

    @classmethod
    def from_token(cls, token: VerifiedToken) -> Delegation:
        """Read a token of either profile; which ones are accepted is the verifier's affair (``Expectation``)."""
        parties = token.parties
        current = parties.chain.current
        return cls(
            principal=parties.principal.sub,
            principal_issuer=parties.principal.iss,
            issuer=token.issuer,
            current_actor=current.sub if current else "",
            client_id=token.client_id,
            scopes=token.scopes,
            expires_at=token.expires_at,
            jti=token.jti,
            txn=token.txn,
            chain=parties.chain,
            profile=token.profile,
            claims=token.claims,
            subject_token=token.credential,
        )

    @property
    def origin(self) -> str:
        """The first who acted for the principal, or ``""``."""
        return self.chain.origin.sub if self.chain.origin else ""

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
        if not self.current_actor or self.current_actor not in permitted:
            raise PolicyDenied("the actor may not do this", detail=f"actor {self.current_actor!r}")
