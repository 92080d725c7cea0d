"""What decides, whichever engine it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from remit.policy.decision import Decision


class PolicyEngine(Protocol):
    """Decides about input documents (``remit.policy.input``). Never raises: what cannot be decided is denied."""

    @property
    def revision(self) -> str:
        """Which policy is in force; empty where that is known only once something was decided."""
        ...

    async def decide(self, document: Mapping[str, Any]) -> Decision:
        """Decide about one document."""
        ...

    async def decide_many(self, documents: Sequence[Mapping[str, Any]]) -> list[Decision]:
        """Decide about each, in order: one deny that stands for a failure does not touch the others."""
        ...

    async def aclose(self) -> None:
        """End what it runs. Decisions under way, and later ones, are denied."""
        ...
