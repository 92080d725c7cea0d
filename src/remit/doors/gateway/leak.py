"""Noun: looks for the delegated token in what an API answers, as it flows by.

An API that echoes requests must not hand its token to the caller. Does NOT see through an encoding of it.
"""

from __future__ import annotations

from remit.credential import Credential


class TokenRepeated(Exception):
    """The answer holds the token; nothing of the token was let through."""


class TokenWatch:
    """Lets an answer's body through, part by part, but for what may yet become the token."""

    def __init__(self, token: Credential) -> None:
        self._token = token.reveal().encode()  # compared only
        self._held = b""

    def check(self, value: bytes) -> None:
        """A header field's value. Raises ``TokenRepeated``."""
        if self._token in value:
            raise TokenRepeated

    def let(self, part: bytes) -> bytes:
        """What may be passed on now: all of it, nearly always. Raises ``TokenRepeated``."""
        data = self._held + part
        self.check(data)
        kept = self._beginning_at_end_of(data)
        self._held = data[len(data) - kept :]
        return data[: len(data) - kept]

    def rest(self) -> bytes:
        """What was held back, at the end of the body."""
        return self._held

    def _beginning_at_end_of(self, data: bytes) -> int:
        """How many bytes at the end of ``data`` are the token's first ones."""
        at = data.find(self._token[:1], max(0, len(data) - len(self._token) + 1))
        while at >= 0:
            if self._token.startswith(data[at:]):
                return len(data) - at
            at = data.find(self._token[:1], at + 1)
        return 0
