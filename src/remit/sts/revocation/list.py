"""Door: what is revoked now. In memory, and at most half a second behind what other processes revoke."""

from __future__ import annotations

import logging
from typing import Final, Protocol

from remit.clock import Clock
from remit.errors import RevocationUnknown, StateInvalid, TokenRevoked
from remit.sts.revocation.entry import Kind, Order, Revocation, names_of
from remit.sts.revocation.file import RevocationFile
from remit.tokens.verifier import VerifiedToken

_LOOK_SECONDS: Final = 0.5
_SWEEP_SECONDS: Final = 60.0
#: Seconds without a look at the file after which nothing is known any more.
_BLIND_SECONDS: Final = 10.0
_NEVER: Final = float("-inf")
_LOG: Final = logging.getLogger(__name__)


class Revocations(Protocol):
    """What the token service asks; ``RevocationList`` answers."""

    def is_revoked(self, token: VerifiedToken, principal: str = "") -> bool:
        """Whether a token counts no more; ``principal``: a name its principal goes by besides. ``RevocationUnknown``."""
        ...

    def is_actor_revoked(self, name: str) -> bool:
        """Whether a client may act no more. Raises ``RevocationUnknown``."""
        ...


class NothingRevoked:
    """The answer where nothing can be revoked."""

    def is_revoked(self, token: VerifiedToken, principal: str = "") -> bool:  # noqa: ARG002  as the protocol has it
        """No."""
        return False

    def is_actor_revoked(self, name: str) -> bool:  # noqa: ARG002  as the protocol has it
        """No."""
        return False


class RevocationList:
    """Follows ``file``. Asking costs next to nothing while nothing is revoked.

    Raises ``StateInvalid`` when made from a file that cannot be read. Later trouble is logged; after ten seconds of
    it ``RevocationUnknown`` is raised for every question, because an unknown list is not an empty one.
    """

    def __init__(self, file: RevocationFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._by_id: dict[int, Revocation] = {}
        self._by_name: dict[tuple[Kind, str], dict[int, Revocation]] = {}
        self._follow()
        self._looked_at = self._read_at = self._swept_at = clock.monotonic()
        self._trouble = ""

    def check(self, token: VerifiedToken) -> None:
        """Raise ``TokenRevoked`` where the token, its transaction, its subject or its current actor is revoked."""
        self._look()
        if self._by_name and (found := self._covering(token)) is not None:
            raise TokenRevoked("token was revoked", detail=f"revocation {found.id} ({found.order.kind.value})")

    def is_revoked(self, token: VerifiedToken, principal: str = "") -> bool:
        """``check`` as a question; ``principal``: a name its principal goes by besides."""
        self._look()
        return bool(self._by_name) and self._covering(token, principal) is not None

    def is_actor_revoked(self, name: str) -> bool:
        """Whether a client, or the agent that goes by its name, may act no more."""
        self._look()
        now = self._clock.now()
        return any(each.counts(now) for each in self._by_name.get((Kind.ACTOR, name), {}).values())

    def is_subject_revoked(self, name: str, since: float) -> bool:
        """Whether what somebody has had since then (seconds since the epoch) counts no more."""
        self._look()
        now = self._clock.now()
        found = self._by_name.get((Kind.SUBJECT, name), {}).values()
        return any(each.counts(now) and since <= each.at for each in found)

    def add(self, order: Order, *, at_most: int | None = None) -> Revocation:
        """Revoke: durable on return, at once here, and everywhere else as soon as they look.

        May be called in another thread. Raises ``StateInvalid``; also where the party has ``at_most`` already.
        """
        added = self._file.add(order, now=self._clock.now(), at_most=at_most)
        self._looked_at = _NEVER
        return added

    def lift(self, number: int, *, reason: str = "", by: str = "") -> Revocation:
        """End revocation ``number``, which is returned. Raises ``StateInvalid`` where none of that number counts."""
        self._follow()
        lifted = self._by_id.get(number)
        if lifted is None or not lifted.counts(self._clock.now()):
            raise StateInvalid(f"no revocation {number} is in force", hint="see `remit revoke list`")
        self.add(Order(Kind.LIFT, str(number), lifted.order.until, reason, by))
        return lifted

    def entries(self) -> tuple[Revocation, ...]:
        """All that is in force, oldest first."""
        self._follow()
        now = self._clock.now()
        return tuple(each for _, each in sorted(self._by_id.items()) if each.counts(now))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _covering(self, token: VerifiedToken, principal: str = "") -> Revocation | None:
        now = self._clock.now()
        for name in names_of(token, principal):
            for each in self._by_name.get(name, {}).values():
                if each.counts(now) and each.covers(token):
                    return each
        return None

    def _look(self) -> None:
        monotonic = self._clock.monotonic()
        if 0 <= monotonic - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = monotonic
        try:
            self._follow()
            self._read_at, self._trouble = monotonic, ""
        except StateInvalid as error:
            if error.detail != self._trouble:  # once, not at every look
                _LOG.error("revocations cannot be followed: %s (%s)", error.detail, error.where)
            self._trouble = error.detail
        if monotonic - self._read_at >= _BLIND_SECONDS:
            self._looked_at = _NEVER  # every question looks again, and none is answered from memory
            raise RevocationUnknown("it cannot be said now whether a token was revoked", detail=self._trouble)
        if monotonic - self._swept_at >= _SWEEP_SECONDS:
            self._swept_at = monotonic
            self._sweep()

    def _follow(self) -> None:
        """Take in what is new."""
        news = self._file.news()
        if news.anew:
            self._by_id.clear()
            self._by_name.clear()
        for each in news.revocations:
            if each.order.kind is Kind.LIFT:
                self._forget(int(each.order.value))
            else:
                self._by_id[each.id] = each
                self._by_name.setdefault((each.order.kind, each.order.value), {})[each.id] = each

    def _sweep(self) -> None:
        now = self._clock.now()
        for number in [number for number, each in self._by_id.items() if not each.counts(now)]:
            self._forget(number)

    def _forget(self, number: int) -> None:
        if (gone := self._by_id.pop(number, None)) is not None:
            name = (gone.order.kind, gone.order.value)
            self._by_name[name].pop(number)
            if not self._by_name[name]:
                del self._by_name[name]
