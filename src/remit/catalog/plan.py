"""What a tool's request and response blocks become at load (noun): nothing is left to parse at a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from remit.catalog.definition import Style
from remit.catalog.expression import Expression, RedactPath
from remit.catalog.schema import Schema

# ── bindings: where a value comes from ───────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Fixed:
    """A literal of the tool file."""

    value: Any


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of the call, which may be absent."""

    name: str


@dataclass(frozen=True, slots=True)
class FromContext:
    """A value the model neither sees nor sets: ``user.sub``, ``user.iss``, ``user.name``, ``actor.sub``, ``call.id``."""

    party: Literal["user", "actor", "call"]
    name: str


@dataclass(frozen=True, slots=True)
class Members:
    """An object; members without a value are left out."""

    members: tuple[tuple[str, Binding], ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A list; items without a value are left out."""

    items: tuple[Binding, ...]


Binding = Fixed | Argument | FromContext | Members | Items

# ── request ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Field:
    """One member of a query or of a form body."""

    name: str
    binding: Binding
    style: Style


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """How often and when a request may be sent; ``backoff`` in seconds before the second time."""

    attempts: int = 1
    when: frozenset[str | int] = frozenset()
    backoff: float = 0.1


#: One path segment: literal text (already encoded) and arguments.
Segment = tuple[str | Argument, ...]


@dataclass(frozen=True, slots=True)
class RequestPlan:
    """A compiled request block.

    ``base_url`` has no trailing slash; ``form`` holds the fields of a form body, ``body`` the tree of a JSON one.
    ``repeatable``: sending twice acts once (RFC 9110 §9.2.2, or by idempotency key).
    """

    method: str
    origin: str
    base_url: str
    path: str
    segments: tuple[Segment, ...]
    query: tuple[Field, ...]
    headers: tuple[tuple[str, Binding], ...]
    body: Binding | None
    form: tuple[Field, ...] | None
    idempotency_header: str
    repeatable: bool
    retry: RetryPlan


# ── response ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class StatusPlaceholder:
    """Stands for the HTTP status."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """What the agent reads for an error status: text, the status, and values found in the API's error body."""

    parts: tuple[str | StatusPlaceholder | Expression, ...]


@dataclass(frozen=True, slots=True)
class ResponsePlan:
    """A compiled response block. ``errors`` is keyed by status (``"404"``) or class (``"4xx"``); ``files`` are media types."""

    select: Expression | None = None
    output: Schema | None = None
    redact: tuple[RedactPath, ...] = ()
    max_bytes: int = 64 * 1024
    files: frozenset[str] = frozenset()
    errors: Mapping[str, Sentence] = field(default_factory=dict)
