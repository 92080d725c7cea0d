"""The token service's signing keys: next, active, retiring; shared by all processes of one state directory."""

from __future__ import annotations

from remit.sts.keys.directory import KeyDirectory
from remit.sts.keys.ring import KeyRing
from remit.sts.keys.schedule import KeyState, KeyTiming, RingKey, state_of
from remit.sts.keys.signing_key import SigningKey, thumbprint

__all__ = ["KeyDirectory", "KeyRing", "KeyState", "KeyTiming", "RingKey", "SigningKey", "state_of", "thumbprint"]
