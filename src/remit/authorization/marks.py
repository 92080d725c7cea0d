"""Rule: marks that only this installation can make, for what goes through a browser and comes back."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

_SHOWN: Final = "&remit_signed_in="
_MARK: Final = re.compile(r"(\d{1,11})\.([0-9a-f]{64})")
#: How long a sign-in counts as made for the request that asked for it. Seconds.
_FRESH: Final = 600


@dataclass(frozen=True, slots=True)
class Marks:
    """Made with ``key`` (32 bytes), the same in all processes."""

    key: bytes = field(repr=False)

    def csrf(self, holder: str, *about: str) -> str:
        """What a form must bring back: it was shown to ``holder`` (a cookie's value), and is about exactly this."""
        return self._mac("form", holder, *about)

    def is_csrf(self, token: str, holder: str, *about: str) -> bool:
        """Whether ``token`` is that of this holder and this matter. Nobody holds ``""``."""
        expected = self.csrf(holder, *about)
        return bool(holder) and hmac.compare_digest(token.encode("utf-8", "surrogatepass"), expected.encode())

    def after_sign_in(self, query: str, at: int) -> str:
        """``query`` with a note that somebody signed in for it at ``at``: so asking for a sign-in comes to an end."""
        return f"{query}{_SHOWN}{at}.{self._mac('signed-in', query, str(at))}"

    def signed_in_for(self, query: str, now: float) -> tuple[str, int]:
        """``query`` without the note, and the time in it: 0 where there is none, or it is false or old."""
        base, found, note = query.rpartition(_SHOWN)
        if not found:
            return query, 0
        if (match := _MARK.fullmatch(note)) is None:
            return base, 0
        at = int(match[1])
        genuine = hmac.compare_digest(match[2], self._mac("signed-in", base, match[1]))
        return base, at if genuine and at <= now < at + _FRESH else 0

    def _mac(self, *parts: str) -> str:
        digests = b"".join(hashlib.sha256(part.encode("utf-8", "surrogatepass")).digest() for part in parts)
        return hmac.new(self.key, digests, hashlib.sha256).hexdigest()
