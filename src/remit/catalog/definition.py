"""The tool file as developers write it (noun).

These models are the file's grammar, and the JSON Schema that editors complete from is made of them
(``tool_file_schema``). What one key means together with others is checked when the file is compiled.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic.alias_generators import to_camel

#: Where editors find the schema; also the ``$id`` of what ``tool_file_schema`` gives.
SCHEMA_FILE: Final = "tool.schema.json"

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "B": 1, "KiB": 1024, "MiB": 1024 * 1024}
_AMOUNT: Final = re.compile(r"([0-9]{1,9})([A-Za-z]+)")

Duration = Annotated[str, Field(pattern=r"^[0-9]{1,9}(ms|s|m|h)$", examples=["10s"])]
Size = Annotated[str, Field(pattern=r"^[0-9]{1,9}(B|KiB|MiB)$", examples=["64KiB"])]
Rate = Annotated[
    str,
    Field(pattern=r"^[0-9]{1,6}/(s|min|h|day)( per (user|agent|user\+agent|tool|all))?$", examples=["60/min per user"]),
]
Concurrency = Annotated[int, Field(ge=1, le=1000)]
Style = Literal["form", "comma", "space", "pipe", "deepObject", "brackets", "json"]
#: Of an answer, without parameters.
MediaType = Annotated[str, Field(pattern=r"^[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}$", examples=["image/png"])]
#: Of a request's body, with its parameters: ``application/json; profile=x``.
BodyMediaType = Annotated[
    str,
    Field(
        max_length=255,
        pattern=r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+( *; *[A-Za-z0-9_.+-]+=[A-Za-z0-9_.+/:-]+)*$",
        examples=["application/vnd.api+json"],
    ),
]
#: Of an upload: ``image/png``, ``image/*``.
MediaRange = Annotated[
    str,
    Field(pattern=r"^[a-z0-9!#$&^_.+-]{1,64}/([a-z0-9!#$&^_.+-]{1,64}|\*)$", examples=["image/png", "image/*"]),
]
BodyEncoding = Literal["json", "form", "multipart", "text", "binary", "xml", "merge-patch", "json-patch"]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
#: What kind of data a value is, in the words of whoever writes policy.
DataClass = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.:-]{1,64}$", examples=["pii"])]
#: What one word of a challenge may be (RFC 6749 §3.3).
Acr = Annotated[str, Field(max_length=256, pattern=r"^[!#-\[\]-~]+$", examples=["urn:example:acr:mfa"])]
#: Of an approval; the user themself is asked with ``mode: user``.
Approver = Annotated[
    str, Field(max_length=256, pattern=r"^(user|role|group):\S(.*\S)?$", examples=["role:support-lead"])
]
#: A file in the folder of the tool file, or below it.
BesideFile = Annotated[str, Field(min_length=1, max_length=1024, examples=["./billing.yaml"])]
#: Of shells: `*`, `?` and `[…]`.
Pattern = Annotated[str, Field(min_length=1, max_length=1100, examples=["GET /customers*"])]
#: A literal, ``$name`` for an argument, ``$$`` for a literal dollar, or ``{from: user.sub}``.
Binding = Any


def amount(text: str) -> float:
    """A ``Duration`` in seconds or a ``Size`` in bytes."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ValueError("neither a duration nor a size")
    return int(match[1]) * _UNITS[match[2]]


class _Block(BaseModel):
    """Unknown keys are errors, types are not converted, keys are written in camel case."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)


class AuthBlock(_Block):
    """The token that calls to this API carry (RFC 8693)."""

    type: Literal["token-exchange", "client-credentials", "none"] = Field(
        default="token-exchange",
        description="client-credentials: with a token of this installation's own, which does not name the user",
    )
    audience: str = Field(
        default="", max_length=512, description="Logical name of the API: `aud` of the token (RFC 8693 §2.1)"
    )
    resource: str = Field(default="", max_length=2048, description="Absolute URI of the API (RFC 8707 §2)")
    scopes: list[str] = Field(default=[], max_length=200, description="Scopes of every tool that does not name its own")
    actor: Literal["required", "optional", "forbidden"] = Field(
        default="required", description="Whether an agent runner's identity must take part"
    )
    max_ttl: Duration = Field(
        default="120s", description="Longest lifetime asked of, and accepted from, the token service"
    )
    step_up: Acr | None = Field(
        default=None, description="How the user must have signed in: `acr` of their token (RFC 9470)"
    )


class RetryBlock(_Block):
    """When to send a request again: only idempotent ones, except that nothing was sent when connecting failed."""

    attempts: int = Field(default=3, ge=1, le=6)
    when: list[Literal["connect", "timeout", 408, 429, 500, 502, 503, 504]] = Field(
        default=["connect", "timeout", 502, 503, 504],
        min_length=1,
        description="connect: none was made, or (idempotent requests) it was lost; timeout: each attempt gets its share",
    )
    backoff: Duration = Field(default="100ms", description="Wait before the second attempt; doubles, with jitter")


class LimitsBlock(_Block):
    """How much may be asked of the API, by all its tools together."""

    rate: Rate | None = Field(default=None, description="Calls in a window, and whose: per user, agent, tool or all")
    concurrency: Concurrency | None = Field(default=None, description="Calls at a time")
    max_request_bytes: Size = Field(default="256KiB", description="Of a request's body")
    max_response_bytes: Size = Field(default="1MiB", description="Of an answer's body, decoded")


class ToolLimitsBlock(_Block):
    """What differs for one tool. `rate` and `concurrency` hold besides the upstream's."""

    rate: Rate | None = None
    concurrency: Concurrency | None = None
    max_request_bytes: Size | None = None
    max_response_bytes: Size | None = None


class UpstreamBlock(_Block):
    """The API that the file's tools call."""

    base_url: str = Field(max_length=2048, description="https URL (http to this machine only); ${ENV} is expanded")
    auth: AuthBlock
    headers: dict[str, str] = Field(default={}, max_length=30, description="Static headers of every request")
    timeout: Duration = Field(default="10s", description="For a whole call, retries included")
    retry: RetryBlock | None = None
    limits: LimitsBlock = LimitsBlock()
    errors: dict[str, str] = Field(
        default={}, max_length=50, description="As of `response`, for every tool that has no sentence for that status"
    )
    openapi: BesideFile | None = Field(default=None, description="The API's description, for tools with `operation`")
    overlays: list[BesideFile] = Field(
        default=[], max_length=20, description="OpenAPI Overlays that are applied to the description, in this order"
    )
    profile: Literal["strict", "portable", "compact"] = Field(
        default="portable", description="How large input schemas from the description may be: 256, 16 or 4 KB a tool"
    )


class ToolAuthBlock(_Block):
    """What differs for one tool. `scopes` replaces the upstream's, it adds to nothing."""

    scopes: list[str] | None = Field(default=None, max_length=50)
    max_ttl: Duration | None = None
    step_up: Acr | None = None


class RequestBlock(_Block):
    """How arguments become one HTTP request. Bindings: a literal, `$name`, `$$…`, or `{from: user.sub}`."""

    method: Method
    path: str = Field(max_length=1024, pattern=r"^/", description="`{x}` is argument x, one encoded segment part")
    query: dict[str, Binding] = Field(default={}, max_length=100)
    headers: dict[str, Binding] = Field(default={}, max_length=30)
    cookies: dict[str, Binding] = Field(default={}, max_length=30)
    body: Binding = None
    style: dict[str, Style] = Field(default={}, description="Per list or object argument, in the query or a form body")
    encoding: BodyEncoding = Field(default="json", description="How the body is written")
    media_type: BodyMediaType | None = Field(default=None, description="Content-Type, where the encoding's is not it")
    uploads: dict[str, Annotated[list[MediaRange], Field(max_length=20)]] = Field(
        default={}, max_length=20, description="Arguments that are files → what they may be, [] for anything"
    )
    idempotency_key: Literal["off", "auto"] = Field(
        default="off", description="auto: a key that is stable for one tool call"
    )
    idempotency_header: str = "Idempotency-Key"


class PageSizeBlock(_Block):
    """How many items a page has."""

    param: str = Field(min_length=1, max_length=100, description="Parameter that says how many")
    default: int = Field(default=20, ge=1, le=10_000)
    max: int = Field(default=100, ge=1, le=10_000)


class PagingBlock(_Block):
    """An answer is one page of many: where the next one begins, and how many are fetched in one call."""

    type: Literal["cursor", "page", "offset", "link", "odata"]
    param: str | None = Field(
        default=None, min_length=1, max_length=100, description="Query or body parameter that says where a page begins"
    )
    next: str | None = Field(default=None, max_length=1024, description="JMESPath to where the next page begins")
    items: str | None = Field(default=None, max_length=1024, description="Path of names to the page's list; @ is all")
    size: PageSizeBlock | None = None
    start: int | None = Field(default=None, ge=0, le=1, description="Number of the first page (1)")
    max_pages: int = Field(default=1, ge=1, le=50, description="Fetched in one call; 1: the agent asks for each")


class ResponseBlock(_Block):
    """How the API's answer becomes the tool's result: select, redact, cap."""

    select: str | None = Field(default=None, max_length=4096, description="JMESPath over the body")
    output: dict[str, Any] | None = Field(
        default=None, alias="schema", description="JSON Schema of the result, checked"
    )
    redact: list[str] = Field(default=[], max_length=50, description="Paths whose values are replaced by [redacted]")
    classes: dict[DataClass, Annotated[list[str], Field(min_length=1, max_length=50)]] = Field(
        default={}, max_length=20, description="Class of data → paths in the result, for policy to hide: pii: [name]"
    )
    paging: PagingBlock | None = None
    max_bytes: Size = Field(default="64KiB", description="Of the result; lists are cut at an item boundary")
    max_items: int | None = Field(default=None, ge=1, le=10_000, description="Of any list of the result")
    files: list[MediaType] = Field(
        default=[], max_length=20, description="Media types of answers that the agent gets as files: image/png"
    )
    errors: dict[str, str] = Field(
        default={}, max_length=50, description="Status (404) or class (4xx) → sentence; {status}, {message}, {code}"
    )


class ApprovalBlock(_Block):
    """Who has to approve each call. Policy may ask for more, and never for less."""

    mode: Literal["none", "user", "out-of-band"] = Field(
        default="none", description="user: they are asked where they are; out-of-band: others are, elsewhere"
    )
    approvers: list[Approver] = Field(
        default=[], max_length=20, description="Of out-of-band: alternatives, and never the user"
    )
    message: str = Field(default="", max_length=300, description="Above the arguments; {argument} is its value")
    ttl: Duration = Field(default="5m", description="How long it is waited for and then holds; 10s to 24h")


class AnnotationsBlock(_Block):
    """What a call may change, where the method's defaults do not say it."""

    read_only: bool | None = None
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool = False


class MockBlock(_Block):
    """An API's answer in an example."""

    status: int = Field(default=200, ge=100, le=599)
    headers: dict[str, str] = {}
    body: Any = None


class ExpectedRequestBlock(_Block):
    """The request an example must give."""

    method: Method | None = None
    path: str | None = None
    query: str | None = None
    headers: dict[str, str] | None = None
    body: Any = None


class ExpectBlock(_Block):
    """What an example must give."""

    request: ExpectedRequestBlock | None = None
    result: Any = None
    error: str | None = None
    decision: Literal["permit", "deny"] | None = None
    scopes: list[str] | None = None


def _mocks(value: Any) -> str:
    return "several" if isinstance(value, list) else "one"


class ExampleBlock(_Block):
    """One call with its expected course. Its arguments are checked against the input schema."""

    name: str = Field(min_length=1, max_length=200)
    as_: str | None = Field(default=None, alias="as", description="alice via runner-1")
    args: dict[str, Any] = {}
    upstream: (
        Annotated[Annotated[MockBlock, Tag("one")] | Annotated[list[MockBlock], Tag("several")], Discriminator(_mocks)]
        | None
    ) = None
    expect: ExpectBlock = ExpectBlock()


#: Of the grammar for editors: which keys go together.
_ONE_OF_TWO: Final[dict[str, Any]] = {
    "if": {"required": ["operation"]},
    "then": {"properties": {"input": False, "request": False}},
    "else": {
        "required": ["description", "request"],
        "properties": dict.fromkeys(("set", "hide", "idempotencyKey", "idempotencyHeader"), False),
    },
}


class ToolBlock(_Block):
    """One tool: with `request`, or with `operation`, from which its input and its request come."""

    model_config = ConfigDict(json_schema_extra=_ONE_OF_TWO)

    name: str = Field(pattern=r"^[a-zA-Z][a-zA-Z0-9_-]{0,63}$")
    title: str = Field(default="", max_length=100)
    description: str | None = Field(
        default=None, min_length=20, max_length=1024, description="What it does and when to use it, for a model"
    )
    input: dict[str, Any] = Field(default={}, description="JSON Schema 2020-12 of the arguments, an object")
    request: RequestBlock | None = None
    operation: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="operationId in the API's description, or `GET /path`",
        examples=["GetCustomer", "GET /customers/{id}"],
    )
    set_: dict[str, Binding] = Field(
        default={},
        alias="set",
        max_length=100,
        description="Of an operation: argument → a literal or `{from: user.sub}`, which the model does not see",
    )
    hide: list[str] = Field(
        default=[], max_length=100, description="Of an operation: optional arguments that the model does not see"
    )
    idempotency_key: Literal["off", "auto"] = Field(
        default="off", description="Of an operation, auto: a key that is stable for one tool call"
    )
    idempotency_header: str = Field(default="Idempotency-Key", description="Of an operation: the key's header")
    response: ResponseBlock = ResponseBlock()
    auth: ToolAuthBlock = ToolAuthBlock()
    annotations: AnnotationsBlock = AnnotationsBlock()
    timeout: Duration | None = None
    retry: RetryBlock | None = None
    limits: ToolLimitsBlock = ToolLimitsBlock()
    approval: ApprovalBlock = ApprovalBlock()
    tags: list[Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.:-]{1,64}$")]] = Field(default=[], max_length=20)
    policy: dict[str, Any] = Field(default={}, description="Facts about the tool that policy sees")
    examples: list[ExampleBlock] = Field(default=[], max_length=50)


class DiscoverBlock(_Block):
    """Operations of the API's description that no tool is listed for: agents find, describe and call them by three tools.

    A pattern is matched against operationId, `GET /path` and name; what a description calls deprecated stays out.
    """

    include: list[Pattern] = Field(
        default=["*"], min_length=1, max_length=2000, description="Patterns of what is found"
    )
    exclude: list[Pattern] = Field(default=[], max_length=2000, description="Patterns of what is not, even so")
    deprecated: bool = False
    scopes: list[str] = Field(
        default=[],
        max_length=50,
        description="Of operations for which the description names none, where it does for others",
    )


class ToolFile(_Block):
    """One API and its tools, or what is found in its description."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["tools"]}, {"required": ["discover"]}]})

    version: Literal[1]
    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    owner: str = Field(default="", max_length=200, description="Who answers for this file")
    upstream: UpstreamBlock
    tools: list[ToolBlock] = Field(default=[], max_length=2000)
    discover: DiscoverBlock | None = None


def tool_file_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a tool file, for editors."""
    schema = ToolFile.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_FILE, **schema}
