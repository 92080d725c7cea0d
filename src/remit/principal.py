"""Who is calling: the face that may be logged, and the face that may not.

``Principal`` holds no credential and may go to logs, policy and the trail. ``Caller`` adds the verified
subject token and may go nowhere but the token exchange. ``DelegationChain`` is the nested ``act`` claim of
RFC 8693 §4.1 as a list, newest first. ``Parties`` says on whose behalf and who acts, the same in both profiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from remit.credential import Credential

#: No chain longer than this is read or made, whatever the settings say.
MAX_CHAIN_DEPTH: Final = 8
_MAX_NAME_BYTES: Final = 256
_IDENTITY_MEMBERS: Final = frozenset({"sub", "iss", "client_id", "sub_profile", "agent_id", "act"})


class Assurance(StrEnum):
    """How sure it is who the actor is, strongest first."""

    AUTHENTICATED = "authenticated"  # the runner's own credential, verified by the token service
    ATTESTED = "attested"  # an issuer's signed ``act`` claim
    REGISTERED = "registered"  # an issuer's signed ``client_id`` or ``azp`` claim
    SELF_ASSERTED = "self_asserted"  # only this installation's own configuration says so


class Profile(StrEnum):
    """How a token says who acts for whom: its private claim ``dlg``; a token without that claim means RFC 8693."""

    RFC8693 = "rfc8693"  # ``sub``: the principal; ``act``: the actors
    WORKLOAD = "workload"  # ``sub``: the current actor; ``act``: the actors before, and innermost the principal


@dataclass(frozen=True, slots=True)
class Actor:
    """One party of a chain. ``iss`` is empty where the token does not say who vouches for ``sub``."""

    sub: str
    iss: str = ""


@dataclass(frozen=True, slots=True)
class DelegationChain:
    """Actors, newest first. Only the first counts for access (RFC 8693 §4.1); the rest is history."""

    actors: tuple[Actor, ...] = ()

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> DelegationChain:
        """Read the nested ``act`` claim.

        Raises ``ValueError`` where a level is not an object with a string ``sub``, carries members that say
        nothing of identity (RFC 8693 §4.1 calls ``exp`` and its like "not meaningful" there), or lies deeper
        than ``MAX_CHAIN_DEPTH``: nothing is cut off or passed over.
        """
        actors: list[Actor] = []
        level = claims.get("act")
        if "act" in claims and level is None:
            raise ValueError("act is null")
        while level is not None:
            if len(actors) == MAX_CHAIN_DEPTH:
                raise ValueError(f"act is nested deeper than {MAX_CHAIN_DEPTH} levels")
            actors.append(_actor(level))
            if "act" in level and level["act"] is None:
                raise ValueError("act is null")
            level = level.get("act")
        return cls(tuple(actors))

    def to_act(self) -> dict[str, Any] | None:
        """The ``act`` claim, or ``None`` for an empty chain."""
        act: dict[str, Any] | None = None
        for actor in reversed(self.actors):
            level: dict[str, Any] = {"sub": actor.sub}
            if actor.iss:
                level["iss"] = actor.iss
            if act is not None:
                level["act"] = act
            act = level
        return act

    def then(self, actor: Actor) -> DelegationChain:
        """The chain after ``actor`` took over."""
        return DelegationChain((actor, *self.actors))

    def within(self, issuer: str) -> DelegationChain:
        """The same chain in a token of ``issuer``, which vouches for every actor that says no ``iss``."""
        if all(actor.iss for actor in self.actors):
            return self
        return DelegationChain(tuple(actor if actor.iss else Actor(actor.sub, issuer) for actor in self.actors))

    @property
    def current(self) -> Actor | None:
        """The current actor, the only one that may be used to decide about access."""
        return self.actors[0] if self.actors else None

    @property
    def origin(self) -> Actor | None:
        """The first who acted."""
        return self.actors[-1] if self.actors else None

    def __len__(self) -> int:
        return len(self.actors)


def chain_with_client(
    chain: DelegationChain, client_id: str, issuer: str, own: frozenset[str] | None
) -> DelegationChain:
    """The chain of a subject token with the client that the subject signed in through as its first link.

    As it is where somebody acts already, where no client is known or it is among ``own`` (the names of whoever
    exchanges the token), and where ``own`` is ``None``: clients are not kept.
    """
    if own is None or chain or not client_id or client_id in own:
        return chain
    return DelegationChain((Actor(client_id, issuer),))


@dataclass(frozen=True, slots=True)
class Parties:
    """On whose behalf, and who acts: what ``sub``, ``act`` and ``dlg`` say, whichever profile they are written in.

    ``chain`` has the actors, newest first; it is empty where the principal acts for themselves.
    """

    principal: Actor
    chain: DelegationChain = field(default_factory=DelegationChain)

    @classmethod
    def read(cls, subject: Actor, act: DelegationChain, profile: Profile | None) -> Parties:
        """The parties of a token about ``subject`` with the claim ``act``."""
        if profile is not Profile.WORKLOAD:
            return cls(subject, act)
        *actors, principal = (subject, *act.actors)
        return cls(principal, DelegationChain(tuple(actors)))

    def to_claims(self, profile: Profile, issuer: str) -> dict[str, Any]:
        """``sub``, ``act`` and what else says who they are, for a token of ``issuer``.

        ``rfc8693`` writes every actor with its ``iss``, and ``sub_iss`` where another issuer knows the principal.
        ``workload`` writes ``iss`` only where it is not ``issuer``, and marks the token with ``dlg``.
        """
        if profile is Profile.WORKLOAD and self.chain:
            current, *earlier = self.chain.actors
            links = (Actor(link.sub, "" if link.iss == issuer else link.iss) for link in (*earlier, self.principal))
            return {"sub": current.sub, "act": DelegationChain(tuple(links)).to_act(), "dlg": profile.value}
        claims: dict[str, Any] = {"sub": self.principal.sub}
        if self.principal.iss != issuer:
            claims["sub_iss"] = self.principal.iss
        if self.chain:
            claims["act"] = self.chain.to_act()
        return claims


def read_profile(claims: Mapping[str, Any]) -> Profile | None:
    """Which profile a token is of; ``None`` where nobody acts in it, so that it is of none.

    Raises ``ValueError`` for a ``dlg`` that is not known, or that names actors who are not there.
    """
    if "dlg" not in claims:
        return Profile.RFC8693 if "act" in claims else None
    profile = Profile(claims["dlg"])
    if "act" in claims:
        return profile
    if profile is Profile.WORKLOAD:
        raise ValueError("dlg names a profile, but there is no act")
    return None


def _actor(level: Any) -> Actor:
    if not isinstance(level, Mapping):
        raise ValueError("act is not an object")  # noqa: TRY004  one error kind for every bad claim
    sub, iss = level.get("sub"), level.get("iss", "")
    for value in (sub, iss):
        if not isinstance(value, str) or len(value.encode()) > _MAX_NAME_BYTES or not value.isprintable():
            raise ValueError("act names an actor by something else than a short printable string")
    if not sub:
        raise ValueError("act has no sub")
    if strangers := set(level) - _IDENTITY_MEMBERS:
        raise ValueError(f"act carries {min(strangers)!r}, which says nothing of identity")
    return Actor(sub=str(sub), iss=str(iss))


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, after verification. Holds no credential and may be logged.

    ``issuer`` is who knows the subject, ``token_issuer`` who issued the token and knows its client, where that is
    somebody else. ``client_assurance``: how sure the embedded authorization server is of that client. ``expires_at`` and
    ``auth_time`` are seconds since the epoch (0: not said).
    """

    subject: str
    issuer: str
    client_id: str = ""
    token_issuer: str = ""
    client_assurance: Assurance | None = None
    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    chain: DelegationChain = field(default_factory=DelegationChain)
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    name: str = ""
    acr: str = ""
    amr: tuple[str, ...] = ()
    auth_time: int = 0
    expires_at: int = 0
    jti: str = ""
    txn: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal with the verified token that proves it. May not be logged; goes only to the exchange."""

    principal: Principal
    subject_token: Credential


@dataclass(frozen=True, slots=True)
class ActingParty:
    """The agent that acts for the subject, how that is known, and the token of this installation if it has one.

    ``evidence`` is what the trail says of how the actor was established: ``actor_token``, ``act``, ``client_id``,
    ``declared`` or ``workload``. ``via`` is this installation where it passes on what another actor asks for: the
    next link of the chain, and whose ``token`` it is.
    """

    actor: Actor
    assurance: Assurance
    evidence: str
    token: Credential | None = None
    via: Actor | None = None
