"""Signing keys that are kept nowhere."""

from __future__ import annotations

from dataclasses import dataclass, field

from remit.sts.keys.directory import Change
from remit.sts.keys.schedule import Keys


@dataclass
class KeysInMemory:
    """A ``KeyStore`` for rings of one process. Set ``change`` to what another process would have made of it."""

    change: Change = field(default_factory=lambda: Change(0, ()))

    def newest(self) -> int:
        return self.change.number

    def read(self) -> Change:
        return self.change

    def write(self, keys: Keys, *, after: int, now: float) -> bool:
        if self.change.number != after:
            return False
        self.change = Change(after + 1, keys)
        return True
