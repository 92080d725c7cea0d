"""Rule: how often something may happen."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

_MAX_KEYS: Final = 10_000


@dataclass(slots=True)
class Rate:
    """``most`` times in ``seconds``, for each key on its own. Of too many keys the oldest is forgotten."""

    most: int
    seconds: float = 60.0
    _windows: OrderedDict[str, tuple[float, int]] = field(default_factory=OrderedDict)

    def admits(self, key: str, now: float) -> bool:
        """Whether it may happen once more, which then counts. ``now``: in seconds, on a clock that never goes back."""
        began, count = self._windows.get(key, (now, 0))
        if now - began >= self.seconds:
            began, count = now, 0
        if count >= self.most:
            return False
        self._windows[key] = (began, count + 1)
        self._windows.move_to_end(key)
        while len(self._windows) > _MAX_KEYS:
            self._windows.popitem(last=False)
        return True
