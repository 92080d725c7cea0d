"""Rule: what somebody takes along who leaves to sign in elsewhere, so that it is they who come back.

Nothing is remembered here meanwhile: whatever anybody could make this service keep, they could make it keep too much
of. The ``state`` says it all, and only for the browser that left.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import Final

from remit.errors import InvalidRequest

#: Seconds: long enough for a second factor that has to be fetched from another room.
LIFETIME: Final = 600
#: With that, the way back stays shorter than what is read of a query.
_MAX_PAYLOAD: Final = 6000
_STATE: Final = re.compile(rf"([A-Za-z0-9_-]{{1,{_MAX_PAYLOAD}}})\.([A-Za-z0-9_-]{{43}})")


@dataclass(frozen=True, slots=True)
class Departure:
    """``id`` is random. ``at``: seconds since the epoch. ``max_age``: how long before ``at`` the person may have signed
    in over there, -1: whenever.
    """

    id: str
    at: int
    going_to: str
    max_age: int = -1


@dataclass(frozen=True, slots=True)
class Secrets:
    """What belongs to one departure: only this installation can make it, and only for the browser that left."""

    nonce: str
    code_verifier: str

    @property
    def code_challenge(self) -> str:
        """RFC 7636 §4.2, method S256."""
        return _b64url(hashlib.sha256(self.code_verifier.encode()).digest())


def write_state(departure: Departure, browser: str, key: bytes) -> str:
    """The ``state``. Raises ``InvalidRequest`` where it would become too long."""
    said = [departure.id, departure.at, departure.going_to, departure.max_age]
    payload = _b64url(json.dumps(said, separators=(",", ":")).encode())
    if len(payload) > _MAX_PAYLOAD:
        raise InvalidRequest("the request is too long to sign in for it elsewhere")
    return f"{payload}.{_mac(key, 'state', browser, payload)}"


def read_state(state: str, browser: str, key: bytes, *, now: float) -> Departure:
    """The departure of this very browser, not long ago. Raises ``InvalidRequest``.

    This does NOT ask whether somebody has come back from it before.
    """
    match = _STATE.fullmatch(state)
    if not browser or match is None or not hmac.compare_digest(match[2], _mac(key, "state", browser, match[1])):
        raise InvalidRequest("this sign-in was not begun in this browser: go back to the program, and begin there")
    departure = Departure(*json.loads(base64.urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4))))
    if not departure.at <= now < departure.at + LIFETIME:
        raise InvalidRequest("this sign-in took too long: go back to the program, and begin there again")
    return departure


def secrets_of(departure: Departure, browser: str, key: bytes) -> Secrets:
    """Made anew whenever they are needed."""
    return Secrets(
        nonce=_mac(key, "nonce", browser, departure.id), code_verifier=_mac(key, "code_verifier", browser, departure.id)
    )


def _mac(key: bytes, *parts: str) -> str:
    digests = b"".join(hashlib.sha256(part.encode("utf-8", "surrogatepass")).digest() for part in parts)
    return _b64url(hmac.new(key, digests, hashlib.sha256).digest())


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
