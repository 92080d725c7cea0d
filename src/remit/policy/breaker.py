"""Rule: when to leave a server alone that keeps failing, and when to try it again."""

from __future__ import annotations


class Breaker:
    """Opens after ``limit`` failures in a row; ``pause`` seconds later one probe at a time may find out more.

    Any success closes it. Every ``now`` is monotonic, in seconds.
    """

    def __init__(self, limit: int, pause: float) -> None:
        self._limit = limit
        self._pause = pause
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether the server is to be left alone, but for a probe."""
        return self._opened_at is not None

    def begin_probe(self, now: float) -> bool:
        """Whether the caller may probe now. Who may, calls ``end_probe``, however it went."""
        if self._probing or self._opened_at is None or now < self._opened_at + self._pause:
            return False
        self._probing = True
        return True

    def end_probe(self) -> None:
        """The probe is over: where nothing came of it, another may begin."""
        self._probing = False

    def succeeded(self) -> None:
        """The server is well."""
        self._failures = 0
        self._opened_at = None

    def failed(self, now: float) -> None:
        """The server is not. What was begun before it opened does not make the pause longer; a probe does."""
        self._failures += 1
        if self._probing or (self._opened_at is None and self._failures >= self._limit):
            self._opened_at = now
