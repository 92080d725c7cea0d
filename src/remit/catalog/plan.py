"""What a tool's request and response blocks become at load (noun): nothing is left to parse at a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import quote

from remit.catalog.expression import Expression, ListPath, RedactPath
from remit.catalog.schema import Schema

# ── bindings: where a value comes from ───────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Fixed:
    """A literal of the tool file."""

    value: Any


@dataclass(slots=True, eq=False)
class Renames:
    """What the members of a value are called on the wire where the argument calls them something else.

    ``members``: argument's name → wire name and the renames inside; ``others``: the renames inside all other members;
    ``items``: those of a list's items. Filled while a schema is read, since a schema may hold itself; not changed
    after that.
    """

    members: dict[str, tuple[str, Renames | None]] = field(default_factory=dict)
    items: Renames | None = None
    others: Renames | None = None

    def on_wire(self, value: Any) -> Any:
        """The value with its members called what the wire calls them, at every depth that is known here."""
        if isinstance(value, dict):
            members = ((member, *self.members.get(key, (key, self.others))) for key, member in value.items())
            return {wire: inner.on_wire(member) if inner else member for member, wire, inner in members}
        if isinstance(value, list) and self.items is not None:
            return [self.items.on_wire(item) for item in value]
        return value


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of the call, which may be absent."""

    name: str
    renames: Renames | None = None


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

#: How a value is written. The first eight are OpenAPI's; ``tabDelimited`` is Swagger 2.0's ``tsv``; ``brackets`` is
#: ``x[]=a`` and ``x[k]=v``; ``json`` writes a list or object as JSON and anything else as text; ``content`` writes
#: everything as JSON; ``text`` takes texts, numbers and booleans alone; ``file`` is an upload.
WireStyle = Literal[
    "form",
    "spaceDelimited",
    "pipeDelimited",
    "deepObject",
    "simple",
    "label",
    "matrix",
    "cookie",
    "tabDelimited",
    "brackets",
    "json",
    "content",
    "text",
    "file",
]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one value is written.

    ``takes``: what may stand there beside texts, numbers and booleans; anything else is refused. ``media_types``: of a part of a multipart body, the
    first is what is sent (of a file: what it may be, ``image/*`` included); none means by the value.
    """

    style: WireStyle
    explode: bool = False
    allow_reserved: bool = False
    takes: Literal["scalar", "list", "object", "any"] = "any"
    media_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """One named place of a path, query, header, cookie or form.

    ``wire``: the name as it is sent, percent-encoded unless given. ``others``: names, in small letters, that the
    members of an object may not take when they become fields of their own.
    """

    name: str
    encoding: Encoding
    wire: str = ""
    others: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.wire:
            object.__setattr__(self, "wire", quote(self.name, safe=""))


class Bound(NamedTuple):
    """A field and where its value comes from."""

    field: Field
    binding: Binding


@dataclass(frozen=True, slots=True)
class Body:
    """How a body is written; the value is that of ``binding``.

    ``media_type`` is the Content-Type (a multipart body's boundary is added; a file's own comes first).
    Of ``form`` and ``multipart``: ``fields`` by member, in the order they are sent; ``rest`` is for members it does
    not name, and ``headers`` go with each part of that name. Of ``binary``: ``rest`` says which files may be sent.
    """

    kind: Literal["json", "form", "multipart", "text", "binary"]
    media_type: str
    binding: Binding
    fields: Mapping[str, Field] = field(default_factory=dict)
    rest: Encoding = Encoding("json", explode=True)
    headers: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    charset: str = "utf-8"


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """How often and when a request may be sent; ``backoff`` in seconds before the second time."""

    attempts: int = 1
    when: frozenset[str | int] = frozenset()
    backoff: float = 0.1


#: One path segment: literal text (already encoded) and fields.
Segment = tuple[str | Bound, ...]


@dataclass(frozen=True, slots=True)
class RequestPlan:
    """A compiled request block.

    ``base_url`` has no trailing slash. ``repeatable``: sending twice acts once (RFC 9110 §9.2.2, or by idempotency
    key). ``max_bytes`` bounds the body.
    """

    method: str
    origin: str
    base_url: str
    path: str
    segments: tuple[Segment, ...]
    query: tuple[Bound, ...]
    headers: tuple[Bound, ...]
    body: Body | None
    idempotency_header: str
    repeatable: bool
    retry: RetryPlan
    cookies: tuple[Bound, ...] = ()
    max_bytes: int = 256 * 1024


# ── response ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Stands for the HTTP status, or for what the API says of the error in one of the usual forms."""

    name: Literal["status", "message", "code"]


@dataclass(frozen=True, slots=True)
class Sentence:
    """What the agent reads for an error status: text, the status, and values found in the API's error body."""

    parts: tuple[str | Placeholder | Expression, ...]

    @property
    def quotes(self) -> bool:
        """Whether anything of the API's answer stands in it."""
        return any(isinstance(part, Expression) or part in _OF_THE_BODY for part in self.parts)


_OF_THE_BODY: Final = (Placeholder("message"), Placeholder("code"))


@dataclass(frozen=True, slots=True)
class PagingPlan:
    """An answer is one page of many, whose list is at ``items``.

    ``argument`` says where a page begins; with ``as_text`` it may be any text. ``kind`` is what that is: a value that
    ``next`` finds in the page before (``cursor``), the parameter ``param`` of a link (which ``next`` finds, else the
    header ``Link``), the number of a page counted from ``start``, or how many items to pass over (``offset``).
    ``size_argument`` gets ``size`` where the agent does not say how many items a page has.
    """

    kind: Literal["cursor", "link", "page", "offset"]
    param: str
    argument: str
    as_text: bool
    items: ListPath
    next: Expression | None = None
    start: int = 1
    size_argument: str = ""
    size: int = 0
    max_pages: int = 1


@dataclass(frozen=True, slots=True)
class ResponsePlan:
    """A compiled response block. ``errors`` is keyed by status (``"404"``) or class (``"4xx"``); ``files`` are media types.

    ``classes``: class of data → where it is in the result, for policy to hide.

    ``max_items``: of any list of the result, 0 for no bound.
    """

    select: Expression | None = None
    output: Schema | None = None
    redact: tuple[RedactPath, ...] = ()
    max_bytes: int = 64 * 1024
    max_items: int = 0
    paging: PagingPlan | None = None
    files: frozenset[str] = frozenset()
    errors: Mapping[str, Sentence] = field(default_factory=dict)
    classes: Mapping[str, tuple[RedactPath, ...]] = field(default_factory=dict)
