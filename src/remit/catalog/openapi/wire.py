"""A described operation → the plan of its requests (rule).

Names of arguments are decided elsewhere (``Bindings``); this says where each value goes and how it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote

from remit.catalog.media import is_json
from remit.catalog.openapi.contents import Schemas, body_of
from remit.catalog.openapi.description import Content, Location, Operation, Parameter
from remit.catalog.plan import Binding, Bound, Encoding, Field, Members, RequestPlan, RetryPlan, Segment
from remit.catalog.upstream import Upstream, may_set_header

#: RFC 9110 §9.2.2
_REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_VARIABLE: Final = re.compile(r"\{([^{}]*)\}")
_STRAY_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_IN_SEGMENT: Final = "~!$&'()*+,;=:@%"
_COOKIE_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: OpenAPI 3.2 §4.12.2: such parameters are to be ignored.
_NOT_PARAMETERS: Final = frozenset({"accept", "content-type", "authorization"})


@dataclass(frozen=True, slots=True)
class Bindings:
    """Where the values of one operation come from.

    A parameter that is not there is not sent. ``body``: of the whole, or of each member by its wire name.
    """

    parameters: Mapping[tuple[Location, str], Binding] = field(default_factory=dict)
    body: Binding | Mapping[str, Binding] | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """What a tool file says of the requests: where to, how often, how long, with which key."""

    upstream: Upstream
    retry: RetryPlan = field(default_factory=RetryPlan)
    max_bytes: int = 256 * 1024
    idempotency_header: str = ""


def plan_of(
    operation: Operation, bindings: Bindings, content: Content | None, schemas: Schemas, sending: Sending
) -> RequestPlan:
    """The plan of an operation's requests; ``content`` is the form of the body that was chosen.

    Raises ``ValueError``, with a sentence, where no request can be made of it.
    """
    body = None
    if content is not None and bindings.body is not None:
        whole = bindings.body
        body = body_of(content, Members(tuple(whole.items())) if isinstance(whole, Mapping) else whole, schemas)
    fixed = {name.lower(): Bound(Field(name, Encoding("simple")), value) for name, value in sending.upstream.headers}
    headers = {bound.field.name.lower(): bound for bound in _bound(operation, bindings, "header")}
    return RequestPlan(
        method=operation.method,
        origin=sending.upstream.origin,
        base_url=sending.upstream.base_url,
        path=operation.path,
        segments=_segments(operation, bindings),
        query=tuple(_bound(operation, bindings, "query")),
        headers=tuple((fixed | headers).values()),
        cookies=tuple(_bound(operation, bindings, "cookie")),
        body=body,
        idempotency_header=sending.idempotency_header,
        repeatable=operation.method in _REPEATABLE or bool(sending.idempotency_header),
        retry=sending.retry,
        max_bytes=sending.max_bytes,
    )


def may_be_set(parameter: Parameter) -> bool:
    """Whether a caller may set this parameter at all: not the headers that are remit's, or the connection's."""
    name = parameter.name.lower()
    return parameter.location != "header" or (name not in _NOT_PARAMETERS and may_set_header(name))


def field_of(parameter: Parameter, others: frozenset[str] = frozenset()) -> Field:
    """The field a parameter is written to. ``others``: names beside it in the same place, in small letters."""
    wire = parameter.name if parameter.location == "cookie" and _COOKIE_NAME.fullmatch(parameter.name) else ""
    return Field(parameter.name, encoding_of(parameter), wire, others - {parameter.name.casefold()})


def encoding_of(parameter: Parameter) -> Encoding:
    """How a parameter is written: in its style, or as a text of its media type."""
    if parameter.media_type:
        return Encoding("content" if is_json(parameter.media_type) else "text", allow_reserved=parameter.allow_reserved)
    return Encoding(parameter.style, parameter.explode, parameter.allow_reserved)


def _bound(operation: Operation, bindings: Bindings, location: Location) -> Iterator[Bound]:
    beside = [parameter for parameter in operation.parameters if parameter.location == location]
    names = frozenset(parameter.name.partition("[")[0].casefold() for parameter in beside)
    for parameter in beside:
        binding = bindings.parameters.get((location, parameter.name))
        if binding is not None and may_be_set(parameter):
            yield Bound(field_of(parameter, names), binding)


# ── path ──


def _segments(operation: Operation, bindings: Bindings) -> tuple[Segment, ...]:
    texts = operation.path.split("/")[1:]
    if any(unquote(text) in {".", ".."} for text in texts):
        raise ValueError('the path has a segment "." or ".."')
    fields = {bound.field.name: bound for bound in _bound(operation, bindings, "path")}
    return tuple(_segment(text, fields) for text in texts)


def _segment(text: str, fields: Mapping[str, Bound]) -> Segment:
    parts: list[str | Bound] = []
    for index, part in enumerate(_VARIABLE.split(text)):
        if index % 2 == 0:
            parts += [quote(_STRAY_PERCENT.sub("%25", part), safe=_IN_SEGMENT)] if part else []
        elif part in fields:
            parts.append(fields[part])
        else:
            raise ValueError(f'the path needs "{part[:60]}", which nothing fills')
    return tuple(parts)
