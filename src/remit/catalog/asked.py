"""What a tool asks of its API and what the model sees of it, wherever that was said (noun)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from remit.catalog.definition import ResponseBlock
from remit.catalog.plan import RequestPlan


class Calling(Protocol):
    """What says whether a request may be sent again."""

    @property
    def method(self) -> str:
        """The HTTP method."""
        ...

    @property
    def idempotency_key(self) -> str:
        """``auto`` where there is one."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """``digest`` is that of the operation of an API description, where there is one behind it."""

    title: str
    description: str
    input: dict[str, Any] = field(repr=False)
    calling: Calling
    plan: RequestPlan
    response: ResponseBlock
    digest: str = ""
