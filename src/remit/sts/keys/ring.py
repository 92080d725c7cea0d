"""Path: the keys of one token service as they are now. Looks at most once a second whether somebody changed them.

Two things happen by themselves: the next key is published when the active one has signed long enough, and it takes
over when its time has come. Neither needs a restart, nor does a rotation by hand in another process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol, Self

from remit.clock import Clock, SystemClock
from remit.errors import KeyRingInvalid
from remit.sts.keys.directory import Change, KeyDirectory
from remit.sts.keys.schedule import Keys, KeyTiming, active_of, advanced, is_due, published_of, replaced, rotated
from remit.sts.keys.signing_key import SigningKey

_LOOK_SECONDS: Final = 1.0
_ATTEMPTS: Final = 20
_LOG: Final = logging.getLogger(__name__)


class KeyStore(Protocol):
    """Where keys are kept; ``KeyDirectory`` is one."""

    def newest(self) -> int:
        """The number of the last change."""
        ...

    def read(self) -> Change:
        """The keys as they are now."""
        ...

    def write(self, keys: Keys, *, after: int, now: float) -> bool:
        """Make the change that follows number ``after``; ``False`` where somebody else made it first."""
        ...


class KeyRing:
    """Signs with the active key and publishes it with the next and the retiring ones.

    Raises ``KeyRingInvalid`` when made from keys that cannot be used. Later trouble with the store is logged, and
    the keys that were read last stay in use.
    """

    def __init__(self, store: KeyStore, clock: Clock, timing: KeyTiming | None = None) -> None:
        self._store = store
        self._clock = clock
        self._timing = timing or KeyTiming()
        self._change = self._changed(lambda keys, now: keys or replaced(now))
        self._signing_key, self._jwks = self._as_of(clock.now())
        self._looked_at = clock.monotonic()
        self._trouble = ""

    @classmethod
    def open(cls, directory: Path, clock: Clock | None = None, timing: KeyTiming | None = None) -> Self:
        """The ring in ``directory``, made with a first key where there is none. Raises ``KeyRingInvalid``."""
        return cls(KeyDirectory(directory), clock or SystemClock(), timing)

    @property
    def signing_key(self) -> SigningKey:
        """The active key."""
        self._look()
        return self._signing_key

    def jwks(self) -> dict[str, Any]:
        """The public keys (RFC 7517 §5): the same object for as long as they are the same."""
        self._look()
        return self._jwks

    @property
    def keys(self) -> Keys:
        """All keys with their times, in the order in which they sign."""
        self._look()
        return self._change.keys

    def rotate(self) -> None:
        """Publish a next key, which takes over in due time. Nothing breaks. One that is there already stays."""
        self._apply(lambda keys, now: rotated(keys, now, self._timing))

    def replace(self) -> None:
        """Emergency: a new key signs from now on, and no token that was signed before verifies any more."""
        self._apply(lambda _, now: replaced(now))

    def _apply(self, change: Callable[[Keys, float], Keys]) -> None:
        self._change = self._changed(change)
        self._show()

    def _changed(self, change: Callable[[Keys, float], Keys]) -> Change:
        """The keys after ``change``, which is tried again on what others made of them meanwhile."""
        for _ in range(_ATTEMPTS):
            now, found = self._clock.now(), self._store.read()
            keys = change(found.keys, now)
            if keys == found.keys:
                return found
            if self._store.write(keys, after=found.number, now=now):
                return Change(found.number + 1, keys)
        raise KeyRingInvalid("the signing keys could not be changed: others keep changing them")

    def _look(self) -> None:
        monotonic = self._clock.monotonic()
        if 0 <= monotonic - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = monotonic
        try:
            if self._store.newest() != self._change.number:
                self._change = self._read()
            if is_due(self._change.keys, self._clock.now(), self._timing):
                self._change = self._changed(lambda keys, now: advanced(keys, now, self._timing))
                _LOG.info("signing keys moved on: %s", ", ".join(item.key.kid for item in self._change.keys))
            self._trouble = ""
        except KeyRingInvalid as error:
            if error.message != self._trouble:  # once, not every second
                _LOG.error("signing keys cannot be followed: %s (%s, %s)", error.message, error.where, error.detail)
            self._trouble = error.message
        self._show()

    def _read(self) -> Change:
        """The keys that somebody changed; that there are none any more is no change to follow."""
        found = self._store.read()
        if not found.keys:
            raise KeyRingInvalid("the signing keys are gone", hint="restore them, or start again with new ones")
        return found

    def _show(self) -> None:
        """What follows from the keys and the time; the published set changes only where it says something else."""
        self._signing_key, jwks = self._as_of(self._clock.now())
        if jwks != self._jwks:
            self._jwks = jwks

    def _as_of(self, now: float) -> tuple[SigningKey, dict[str, Any]]:
        keys = self._change.keys
        published = [item.key.public_jwk for item in published_of(keys, now)]
        return active_of(keys, now).key, {"keys": published}
