"""Text that proves something and must not be seen.

A ``Credential`` prints as a fingerprint, is compared in constant time and cannot be serialised by accident.
``reveal()`` is the one way to its text, so every place that uses a secret can be found by name.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import NoReturn


class Credential:
    """A token or secret. ``repr`` and ``str`` show only the first 12 hex digits of its SHA-256."""

    __slots__ = ("_digest", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._digest: bytes | None = None

    def reveal(self) -> str:
        """The text itself. Name the reader in a comment where it is not obvious."""
        return self._text

    @property
    def digest(self) -> bytes:
        """SHA-256 of the text: a key for caches, never a proof."""
        if self._digest is None:
            self._digest = hashlib.sha256(self._text.encode("utf-8", "surrogatepass")).digest()
        return self._digest

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Credential):
            return NotImplemented
        return hmac.compare_digest(self.digest, other.digest)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(sha256:{self.digest.hex()[:12]}…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is not to be pickled or copied")


class UnverifiedToken(Credential):
    """A token as it came from outside: nothing in it may be believed yet."""

    __slots__ = ()


class ConfirmedToken(UnverifiedToken):
    """A token that came with a sound proof of possession (RFC 9449): whoever sent it holds the key of ``thumbprint``.

    Whether the token is bound to that key is for whoever verifies the token to check (``tokens.possession``).
    ``spend`` then lets the proof count, once; it raises where that proof came before with another request.
    """

    __slots__ = ("spend", "thumbprint")

    def __init__(self, text: str, thumbprint: str, spend: Callable[[], None] = lambda: None) -> None:
        super().__init__(text)
        self.thumbprint = thumbprint
        self.spend = spend
