"""Noun: the words that tools in Python are written with. Each says what a key of a tool file says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypedDict, Unpack

from pydantic import Field

# ── where an argument goes: in `Annotated[…]` ────────────────────────────────────────────


class SchemaOptions(TypedDict, total=False):
    """What may be said of an argument beside its type, as with pydantic's `Field`."""

    title: str
    description: str
    examples: list[Any]
    pattern: str
    min_length: int
    max_length: int
    ge: float
    gt: float
    le: float
    lt: float
    multiple_of: float


class Place:
    """Where an argument goes. ``name``: what it is called there, where not as the argument; ``style``: of a list."""

    where: ClassVar[Literal["path", "query", "headers", "body"]]

    def __init__(self, *, name: str = "", style: str = "", **schema: Unpack[SchemaOptions]) -> None:
        self.name = name
        self.style = style
        self.field: Any = Field(**schema)


class Path(Place):
    """Into the path, which names it: ``/customers/{customer_id}``."""

    where = "path"


class Query(Place):
    """Into the query: where arguments of GET and DELETE go unless something else is said."""

    where = "query"


class Header(Place):
    """Into a header: ``name`` as in ``X-Request-Source``."""

    where = "headers"


class Body(Place):
    """Into the body's object: where arguments of POST, PUT and PATCH go unless something else is said."""

    where = "body"


# ── values in `query`, `headers` and `body` ──────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Arg:
    """The argument of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class From:
    """What the model neither sees nor sets: ``user.sub``, ``user.iss``, ``user.name``, ``actor.sub`` or ``call.id``."""

    name: str


# ── blocks: what is not said stands as in a tool file ────────────────────────────────────


@dataclass(frozen=True, slots=True)
class TokenExchange:
    """The token that calls carry: exchanged for the user's, naming user and agent (RFC 8693)."""

    audience: str | None = None
    resource: str | None = None
    scopes: list[str] | None = None
    actor: Literal["required", "optional", "forbidden"] | None = None
    max_ttl: str | None = None
    step_up: str | None = None


@dataclass(frozen=True, slots=True)
class ClientCredentials(TokenExchange):
    """A token of this installation's own, which does not name the user."""

    type: str = "client-credentials"


@dataclass(frozen=True, slots=True)
class Approval:
    """Who has to approve each call: the ``user``, or ``approvers`` elsewhere (``out-of-band``)."""

    mode: Literal["none", "user", "out-of-band"]
    message: str | None = None
    approvers: list[str] | None = None
    ttl: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How often, how many at a time, and how much: ``rate="60/min per user"``."""

    rate: str | None = None
    concurrency: int | None = None
    max_request_bytes: str | None = None
    max_response_bytes: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """When a request is sent again."""

    attempts: int | None = None
    when: list[str | int] | None = None
    backoff: str | None = None


@dataclass(frozen=True, slots=True)
class PageSize:
    """How many items a page has: ``param`` says so, between 1 and ``max``."""

    param: str
    default: int | None = None
    max: int | None = None


@dataclass(frozen=True, slots=True)
class Paging:
    """The answer is one page of many: ``page``, ``offset``, ``link``, ``odata`` or ``cursor``."""

    type: Literal["cursor", "page", "offset", "link", "odata"]
    param: str | None = None
    next: str | None = None
    items: str | None = None
    size: PageSize | None = None
    start: int | None = None
    max_pages: int | None = None


class Cursor(Paging):
    """Pages that name the one behind them. ``next`` and ``items`` are JMESPath."""

    def __init__(self, **paging: Unpack[CursorOptions]) -> None:
        super().__init__("cursor", **paging)


class CursorOptions(TypedDict, total=False):
    """``param`` may be left out where the query names an argument ``cursor``."""

    param: str
    next: str
    items: str
    size: PageSize
    max_pages: int
