"""What a verification wants and what it gives, and whether the two agree (noun)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from remit.credential import Credential
from remit.errors import ClaimInvalid
from remit.oauth import TYP_ACCESS_TOKEN
from remit.principal import Actor, DelegationChain, Parties, Profile
from remit.tokens.checks import (
    check_audience,
    check_expiry,
    check_profile,
    check_required,
    check_started,
    read_audience,
    read_chain,
    read_name,
    read_profile,
    read_scope,
    read_seconds,
)

#: RFC 9068 §2.2: "The following claims are REQUIRED".
RFC9068_CLAIMS: Final = frozenset({"iss", "exp", "aud", "sub", "client_id", "iat", "jti"})


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a token must be to be accepted at one place.

    ``audiences``: any of them must be in ``aud``; an empty set accepts nothing. ``typ``: lower case, without
    ``application/``; ``""`` stands for a header without ``typ``. ``leeway``: seconds of clock skew. ``profiles``: how
    it may say who acts for whom; a reader that knows only RFC 8693 would take a ``workload`` token's actor for the
    user.
    """

    audiences: frozenset[str]
    typ: frozenset[str] = frozenset({TYP_ACCESS_TOKEN})
    required: frozenset[str] = RFC9068_CLAIMS
    leeway: int = 30
    profiles: frozenset[Profile] = frozenset({Profile.RFC8693})


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A token whose signature was verified, with its claims as values of their own types.

    Making one reads every claim named below and raises ``ClaimInvalid`` where one has a value it may not have;
    an absent one becomes ``""``, ``()`` or 0, except ``exp``, which is never optional. ``parties`` says on whose behalf
    and who acts, each with its issuer, in both profiles; ``chain`` is the bare claim ``act``. ``header`` and ``claims``
    are shared by all who get this token: read them only. ``repr`` shows neither them nor the credential.
    """

    credential: Credential = field(repr=False)
    header: Mapping[str, Any] = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)

    issuer: str = field(init=False, compare=False)
    subject: str = field(init=False, compare=False)
    client_id: str = field(init=False, compare=False)  # ``client_id``, else ``azp`` (OpenID Connect Core §2)
    audience: tuple[str, ...] = field(init=False, compare=False)
    scopes: tuple[str, ...] = field(init=False, compare=False)
    chain: DelegationChain = field(init=False, compare=False)  # ``act``, as it is nested
    profile: Profile | None = field(init=False, compare=False)  # ``None``: nobody acts
    parties: Parties = field(init=False, compare=False)
    expires_at: int = field(init=False, compare=False)
    issued_at: int = field(init=False, compare=False)
    not_before: int = field(init=False, compare=False)
    jti: str = field(init=False, compare=False)
    txn: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        claims = self.claims
        exp = read_seconds(claims, "exp")
        if exp is None:
            raise ClaimInvalid("claim exp is missing")
        values = {
            "header": MappingProxyType(dict(self.header)),
            "claims": MappingProxyType(dict(claims)),
            "issuer": read_name(claims, "iss"),
            "subject": read_name(claims, "sub"),
            "client_id": read_name(claims, "client_id") or read_name(claims, "azp"),
            "audience": read_audience(claims),
            "scopes": read_scope(claims),
            "chain": read_chain(claims),
            "profile": read_profile(claims),
            "expires_at": int(exp),
            "issued_at": int(read_seconds(claims, "iat") or 0),
            "not_before": int(read_seconds(claims, "nbf") or 0),
            "jti": read_name(claims, "jti"),
            "txn": read_name(claims, "txn"),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "parties", _parties(self))


def check_expected(
    verified: VerifiedToken, expect: Expectation, *, now: float, required: frozenset[str] | None = None
) -> None:
    """Raise a leaf of ``TokenInvalid`` unless the token is for this place and this time, and of a profile read here.

    ``required``: the claims it must have, else those of ``expect``.
    """
    check_required(verified.claims, expect.required if required is None else required)
    check_audience(verified.audience, expect.audiences)
    check_expiry(verified.expires_at, now=now, leeway=expect.leeway)
    check_started("nbf", verified.not_before, now=now, leeway=expect.leeway)
    check_started("iat", verified.issued_at, now=now, leeway=expect.leeway)
    check_profile(verified.profile, expect.profiles)


def _parties(token: VerifiedToken) -> Parties:
    """On whose behalf and who acts, each with its issuer, whatever the profile.

    ``sub_iss`` names the issuer of a principal whom the token's issuer does not know itself.
    """
    subject = Actor(token.subject, read_name(token.claims, "sub_iss") or token.issuer)
    return Parties.read(subject, token.chain.within(token.issuer), token.profile)
