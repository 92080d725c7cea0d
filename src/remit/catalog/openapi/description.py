"""What an API description says, whichever version of OpenAPI it is written in (noun).

Every default of the version is filled in and every reference is resolved, but for those between schemas:
they stay ``{"$ref": "#/$defs/NAME"}``, and NAME is a key of the description's tables. All schemas are JSON
Schema 2020-12 as mappings (a bare ``true`` or ``false`` stands only for ``additionalProperties`` and
``unevaluated…``), and compile together with the table they belong to. No schema is to be changed: some are shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Location = Literal["path", "query", "header", "cookie"]
#: The styles of OpenAPI 3.2, and ``tabDelimited`` for Swagger's ``tsv``. Swagger may ask for a delimiter in any place.
Style = Literal[
    "form",
    "simple",
    "label",
    "matrix",
    "spaceDelimited",
    "pipeDelimited",
    "tabDelimited",
    "deepObject",
    "cookie",
]
#: The methods a tool may have.
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
METHODS: Final[tuple[Method, ...]] = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")

#: The prefix of every reference that is left.
DEFINITIONS: Final = "#/$defs/"

JsonSchema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. ``media_type``: the value is a text of that type (``content``), and style and explode say nothing."""

    name: str
    location: Location
    required: bool
    schema: JsonSchema
    description: str = ""
    style: Style = "form"
    explode: bool = True
    allow_reserved: bool = False
    media_type: str = ""
    deprecated: bool = False


@dataclass(frozen=True, slots=True)
class PartEncoding:
    """How one member of a form or multipart body is written.

    ``style`` is ``None`` where the member goes as ``content_type`` says; that is empty where it follows from the
    member's type. ``headers``: those of the part, where their value is fixed.
    """

    content_type: str = ""
    style: Style | None = None
    explode: bool = True
    allow_reserved: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Content:
    """A body in one media type, parameters of the type included. ``encodings``: by the name of a member."""

    media_type: str
    schema: JsonSchema
    encodings: Mapping[str, PartEncoding] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Body:
    """The request body, in the description's order of media types."""

    required: bool
    contents: tuple[Content, ...]
    description: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. ``status``: ``200``, ``4XX`` or ``default``. No content: it has no body."""

    status: str
    description: str = ""
    contents: tuple[Content, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. ``id`` is the operationId as written, empty where there is none; several may share one.

    ``path`` has no query and no fragment; each of its ``{variables}`` is a parameter. ``scopes``: of the first
    alternative of ``security`` that has any. ``audiences``: whom the token is for, where an extension says it.
    ``servers``: the operation's own, else empty. ``pointer``: where it stands, ``file#/json/pointer``.
    """

    id: str
    method: Method
    path: str
    pointer: str
    summary: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    deprecated: bool = False
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    responses: tuple[Response, ...] = ()
    scopes: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """An operation that is not read, and why. ``id`` is its operationId, where that much could be read."""

    method: str
    path: str
    pointer: str
    reason: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Something the description does wrong and that was mended, or something that was left out."""

    pointer: str
    message: str


@dataclass(frozen=True, slots=True)
class Description:
    """A whole description.

    ``version`` is the API's, ``dialect`` OpenAPI's (``2.0``, ``3.0`` …). ``digest``: SHA-256 over the bytes of all
    its files and the names of those that could not be had, empty where it was not read from files. ``servers``: base
    URLs, relative where they are written so. ``schemas`` are those of requests (nothing read-only in them),
    ``response_schemas`` those of responses (nothing write-only); the same name means the same place in both. ``files``:
    what was read, below the description's folder; ``refused``: what it leads to and could not be had.
    """

    title: str
    version: str
    dialect: str
    operations: tuple[Operation, ...]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[Note, ...] = ()
    servers: tuple[str, ...] = ()
    schemas: Mapping[str, JsonSchema] = field(default_factory=dict, repr=False)
    response_schemas: Mapping[str, JsonSchema] = field(default_factory=dict, repr=False)
    digest: str = ""
    files: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
