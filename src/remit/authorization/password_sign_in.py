"""Path: a user name and a password → a sign-in, or how long to wait."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from remit.authorization.passwords import Passwords
from remit.authorization.person import People, SignIn
from remit.authorization.throttle import Attempt, Throttle, password_counters
from remit.clock import Clock
from remit.credential import Credential
from remit.sts.returning import RecordControl

#: RFC 8176 §2.
_AMR: Final = ("pwd",)


@dataclass(frozen=True, slots=True)
class NotSignedIn:
    """It was not their password, or there is no such user; ``wait``: nothing was tried, and for how many seconds."""

    wait: int = 0


class PasswordSignIn:
    """Lets the people of the settings sign in by the passwords of the file."""

    def __init__(
        self,
        people: People,
        passwords: Passwords,
        throttle: Throttle,
        clock: Clock,
        record: RecordControl | None = None,
    ) -> None:
        self._people = people
        self._passwords = passwords
        self._throttle = throttle
        self._clock = clock
        self._record = record

    async def sign_in(self, user: str, password: Credential, address: str) -> SignIn | NotSignedIn:
        """Check the password. What comes back, and how long it takes, is the same whether there is such a user or not.

        Raises ``StateInvalid``, ``GrantUnavailable`` and ``AuditError``.
        """
        user = unicodedata.normalize("NFC", user.strip())
        counters = password_counters(user, address)
        attempt = await self._throttle.begin(counters)
        if attempt.wait:
            return NotSignedIn(attempt.wait)
        matches = await self._passwords.verify(user, password)
        person = self._people.find(user)
        if person is None or not matches:
            await self._tell_failure(user if person else "", attempt, address)
            return NotSignedIn()
        await self._throttle.succeeded(counters)
        if self._record is not None:
            await self._record("sign_in", {"kind": "user", "value": user, "method": _AMR[0], "address": address})
        return SignIn(person, int(self._clock.now()), _AMR)

    async def _tell_failure(self, user: str, attempt: Attempt, address: str) -> None:
        """At most once a minute for each name, and what nobody is called is not told: people type passwords there.

        It is recorded all the same, or else how long that takes would tell which names there are. How many names can
        be tried is for the throttle to bound.
        """
        if self._record is not None and attempt.first:
            await self._record("sign_in_failed", {"kind": "user", "value": user, "address": address})
