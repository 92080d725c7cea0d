"""Rule: which key signs at what time. The keys carry times; their states follow from the clock.

::

    published ──▶ next ──▶ signs_from ──▶ active ──▶ successor's signs_from ──▶ retiring ──▶ kept_until ──▶ gone

So processes that share the keys agree on every state without telling each other, and a process that slept through
a rotation wakes up in the right one. Keys stand in the order in which they sign. Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from remit.errors import SettingsInvalid
from remit.sts.keys.signing_key import SigningKey

_MINUTE: Final = 60
_DAY: Final = 86_400


class KeyState(StrEnum):
    """What a key does at one time."""

    NEXT = "next"  # published, so that those who verify know it before it signs
    ACTIVE = "active"  # signs
    RETIRING = "retiring"  # published until the last token it signed has expired
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class KeyTiming:
    """Seconds: how long a key signs, how long it is published before, and how long after.

    ``publish_before`` is no less than those who verify may keep a key set, ``retire_after`` no less than the longest
    life of a token with their clock skew and that time added.
    """

    rotate_after: int = 30 * _DAY
    publish_before: int = 15 * _MINUTE
    retire_after: int = 20 * _MINUTE

    def __post_init__(self) -> None:
        if not 0 < self.publish_before < self.rotate_after or self.retire_after <= 0:
            raise SettingsInvalid(
                "a signing key would have to rotate before it is published long enough",
                where="sts.keys",
                hint="make publish_before shorter than rotate_after, and all times positive",
            )


@dataclass(frozen=True, slots=True)
class RingKey:
    """A key and its times. ``kept_until`` is there once the key has a successor."""

    key: SigningKey
    published: int
    signs_from: int
    kept_until: int | None = None


#: In the order in which they sign.
Keys = tuple[RingKey, ...]


def active_of(keys: Keys, now: float) -> RingKey:
    """The key that signs: the last that has begun. A clock before all of them leaves it to the first."""
    return next((key for key in reversed(keys) if key.signs_from <= now), keys[0])


def state_of(key: RingKey, keys: Keys, now: float) -> KeyState:
    """The state of one of ``keys``."""
    active = active_of(keys, now)
    if key == active:
        return KeyState.ACTIVE
    if key.signs_from > active.signs_from:
        return KeyState.NEXT
    return KeyState.RETIRING if key.kept_until is None or now < key.kept_until else KeyState.GONE


def published_of(keys: Keys, now: float) -> Keys:
    """Those that may verify a token now."""
    return tuple(key for key in keys if state_of(key, keys, now) is not KeyState.GONE)


def is_due(keys: Keys, now: float, timing: KeyTiming) -> bool:
    """Whether ``advanced`` would change anything; cheap, for asking often."""
    return _rotation_is_due(keys, now, timing) or len(published_of(keys, now)) < len(keys)


def advanced(keys: Keys, now: float, timing: KeyTiming) -> Keys:
    """What time alone makes of the keys: those that are gone are left out, and the next one is published so that it
    takes over when the active one has signed long enough.
    """
    return rotated(keys, now, timing) if _rotation_is_due(keys, now, timing) else published_of(keys, now)


def _rotation_is_due(keys: Keys, now: float, timing: KeyTiming) -> bool:
    active = active_of(keys, now)
    return active == keys[-1] and now >= active.signs_from + timing.rotate_after - timing.publish_before


def rotated(keys: Keys, now: float, timing: KeyTiming) -> Keys:
    """A next key is there and takes over as soon as it has been published long enough; what is gone is left out.

    Asked again while one is there, nothing changes.
    """
    kept, active = published_of(keys, now), active_of(keys, now)
    coming = [key for key in kept if key.signs_from > active.signs_from]
    if coming and coming[0].published <= now:
        return kept
    # A clock that was ahead may have published a key in what is the future now: that one begins anew.
    key, begin = coming[0].key if coming else SigningKey.new(), int(now)
    following = RingKey(key, published=begin, signs_from=begin + timing.publish_before)
    retiring = replace(active, kept_until=following.signs_from + timing.retire_after)
    return (*(key for key in kept if key.signs_from < active.signs_from), retiring, following)


def replaced(now: float) -> Keys:
    """A new key alone. Whoever could read one key could read them all, so none of the old ones stays."""
    return (RingKey(SigningKey.new(), int(now), int(now)),)
