"""Noun: what can be seen of a token request while it is answered. No token is shown."""

from __future__ import annotations

from typing import Final

from remit.sts.clients import TargetRule
from remit.sts.minting import Grant
from remit.sts.subject import Subject


class Watch:
    """Sees what becomes known, step by step; what was refused early shows less. This one looks away."""

    def asked(self, grant_type: str) -> None:
        """Which grant."""

    def wanted(self, targets: frozenset[str], scopes: tuple[str, ...]) -> None:
        """For which target and with which scopes."""

    def ruled(self, rule: TargetRule) -> None:
        """By which of the client's rules."""

    def proved(self, subject: Subject) -> None:
        """On whose behalf. Of the subject token only its claims may be read."""

    def granted(self, grant: Grant) -> None:
        """What will be issued, once it is recorded."""


NOBODY: Final = Watch()
