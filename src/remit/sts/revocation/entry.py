"""Noun and rule: one revocation, and which tokens it is about."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from remit.errors import SettingsInvalid
from remit.tokens.checks import MAX_NAME_BYTES
from remit.tokens.verifier import VerifiedToken

_MAX_TEXT: Final = 500


class Kind(StrEnum):
    """What is named."""

    JTI = "jti"  # one token
    TXN = "txn"  # every token of one transaction: all that was exchanged from one sign-in
    SUBJECT = "subject"  # every token on behalf of somebody that was issued up to then: "log them out everywhere"
    ACTOR = "actor"  # every token of a client, or that it acts with, whenever issued: "switch that agent off"
    LIFT = "lift"  # an earlier revocation, by number, which counts no longer


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody (``by``) asks to be revoked. ``until``: seconds since the epoch, ``None``: until it is lifted."""

    kind: Kind
    value: str
    until: int | None = None
    reason: str = ""
    by: str = ""

    def __post_init__(self) -> None:
        if not self.value or not self.value.isprintable() or len(self.value.encode()) > MAX_NAME_BYTES:
            raise SettingsInvalid(f"what is to be revoked has no printable name of at most {MAX_NAME_BYTES} bytes")
        if self.kind is Kind.LIFT and not self.value.isdecimal():
            raise SettingsInvalid("a revocation is lifted by its number")
        if len(self.reason) > _MAX_TEXT or not self.reason.isprintable():
            raise SettingsInvalid(f"the reason is no printable text of at most {_MAX_TEXT} characters")


@dataclass(frozen=True, slots=True)
class Revocation:
    """An order that was taken ``at`` that time (seconds since the epoch) under a number that is never used again."""

    id: int
    at: int
    order: Order

    def counts(self, now: float) -> bool:
        """Whether its time has not passed."""
        return self.order.until is None or now < self.order.until

    def covers(self, token: VerifiedToken) -> bool:
        """Whether it is about ``token``, which has the name it revokes.

        ``iat`` has no fraction, so a token of the very second counts as issued before.
        """
        return self.order.kind is not Kind.SUBJECT or token.issued_at <= self.at


def names_of(token: VerifiedToken, principal: str = "") -> tuple[tuple[Kind, str], ...]:
    """The names under which a token can be revoked; ``principal`` is one its principal goes by besides.

    A revoked subject takes along what others do for them. A revoked actor counts where it acts now or is the client;
    that it acted earlier in the chain is history (RFC 8693 §4.1).
    """
    parties = token.parties
    current, sub_id = parties.chain.current, token.claims.get("sub_id")
    return (
        (Kind.JTI, token.jti),
        (Kind.TXN, token.txn),
        (Kind.SUBJECT, parties.principal.sub),
        (Kind.SUBJECT, principal),
        (Kind.SUBJECT, sub_id if isinstance(sub_id, str) else ""),
        (Kind.ACTOR, token.client_id),
        (Kind.ACTOR, current.sub if current else ""),
    )
