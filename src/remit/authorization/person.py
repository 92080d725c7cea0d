"""Noun: who signs in, and how they did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in here. ``scopes`` are all they may give to a client.

    ``issuer`` is who knows them where that is another provider; ``""``: this service does.
    """

    sub: str
    issuer: str = ""
    name: str = ""
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SignIn:
    """One sign-in: when (seconds since the epoch) and by which means (RFC 9068 §2.2.1)."""

    person: Person
    auth_time: int
    amr: tuple[str, ...] = ()
    acr: str = ""


class People(Protocol):
    """Who there is, as the settings have it now."""

    def find(self, sub: str) -> Person | None:
        """Somebody this service itself knows, or nobody."""
        ...
