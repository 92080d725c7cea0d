"""Noun: what can be seen of a token request while it is answered. No token is shown."""

from __future__ import annotations

from typing import Any, Final, Protocol

from remit.errors import GrantError
from remit.sts.clients import TargetRule
from remit.sts.minting import Grant
from remit.sts.subject import Subject


class Watch(Protocol):
    """Sees what becomes known, step by step; of what was refused early, less."""

    def asked(self, grant_type: str) -> None:
        """Which grant."""

    def wanted(self, targets: frozenset[str], scopes: tuple[str, ...]) -> None:
        """For which target and with which scopes."""

    def ruled(self, rule: TargetRule) -> None:
        """By which of the client's rules."""

    def proved(self, subject: Subject) -> None:
        """On whose behalf. Of the subject token only its claims may be read."""

    def decided(self, decision: Any) -> None:
        """What policy said, in policy's own words: this service only hands it on."""

    def granted(self, grant: Grant) -> None:
        """What will be issued."""


class IssuanceRecord(Watch, Protocol):
    """Writes what it saw into the trail, before anything leaves. Both raise ``AuditError``."""

    async def issued(self) -> None:
        """The token was made. Durable on return."""

    async def refused(self, error: GrantError) -> None:
        """The request was refused. Durable on return."""


class Unwatched:
    """Looks away."""

    def asked(self, grant_type: str) -> None:
        """See ``Watch.asked``."""

    def wanted(self, targets: frozenset[str], scopes: tuple[str, ...]) -> None:
        """See ``Watch.wanted``."""

    def ruled(self, rule: TargetRule) -> None:
        """See ``Watch.ruled``."""

    def proved(self, subject: Subject) -> None:
        """See ``Watch.proved``."""

    def decided(self, decision: Any) -> None:
        """See ``Watch.decided``."""

    def granted(self, grant: Grant) -> None:
        """See ``Watch.granted``."""


NOBODY: Final = Unwatched()
