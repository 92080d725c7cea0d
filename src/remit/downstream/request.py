"""A tool's plan and one call's arguments → the one request they mean, every byte encoded (rule).

Arguments are values, never text that is pasted in: a path value stays inside its segment, a query value inside
its parameter, a header value inside its line, a body value inside its place in the tree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from remit.catalog.plan import (
    Argument,
    Binding,
    Bound,
    Field,
    Fixed,
    FromContext,
    Items,
    Members,
    RequestPlan,
    Segment,
)
from remit.catalog.tool import Tool
from remit.downstream.position import FIRST, Position, arguments_at, position_in
from remit.downstream.wire.bodies import Written, write_body
from remit.downstream.wire.places import cookie_pairs, header_value, leads_away, path_value, query_pairs
from remit.downstream.wire.styles import Pair
from remit.errors import RequestUnusable

_MAX_URL: Final = 8192
#: Up to here every whole number is one double, and no two are the same.
_LARGEST_WHOLE: Final = 2**53


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One HTTP request as it will be sent, without the token. ``idempotent``: sending it twice acts once.

    Where its answer is one page of many, it asks for the one at ``start``, and ``page`` makes the requests for others.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None = field(repr=False)
    idempotent: bool
    start: Position = FIRST
    page: Callable[[Position], ApiRequest] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class CallContext:
    """What ``{from: …}`` reads: ``user`` (sub, iss, name), ``actor`` (sub) and ``call`` (id)."""

    user: Mapping[str, Any]
    actor: Mapping[str, Any]
    call: Mapping[str, Any]


class _Absent:
    """An optional argument that was not given."""


_ABSENT: Final = _Absent()


def build_request(tool: Tool, arguments: Mapping[str, Any], context: CallContext) -> ApiRequest:
    """Fill the tool's plan. Raises ``RequestUnusable`` where a value cannot stand where it belongs.

    The arguments are expected to fit the input schema; this does not check it.
    """
    paging = tool.response.paging
    if paging is None:
        return _filled(tool.plan, arguments, context)
    start = position_in(paging, arguments)

    def page(position: Position) -> ApiRequest:
        return _filled(tool.plan, arguments_at(paging, arguments, position), context)

    return replace(page(start), start=start, page=page)


def _filled(plan: RequestPlan, arguments: Mapping[str, Any], context: CallContext) -> ApiRequest:
    try:
        fill = _Filler(_whole(arguments), context)
        url = plan.base_url + "".join([f"/{fill.segment(segment)}" for segment in plan.segments])
        if plan.query:
            url += fill.query(plan)
        body = fill.body(plan)
        headers = fill.headers(plan, body)
    except UnicodeEncodeError:
        raise RequestUnusable("an argument holds half a character (a lone surrogate)") from None
    except (RecursionError, ValueError):
        raise RequestUnusable("an argument holds what JSON cannot: NaN, infinity, or too deep a nesting") from None
    if len(url) > _MAX_URL:
        raise RequestUnusable(f"the arguments make an address of more than {_MAX_URL} characters")
    return ApiRequest(plan.method, url, headers, body[0] if body else None, plan.repeatable)


@dataclass(frozen=True, slots=True)
class _Filler:
    """Bindings → values, for one call."""

    arguments: Mapping[str, Any]
    context: CallContext

    def value(self, binding: Binding) -> Any:
        """The binding's value, or ``_ABSENT``."""
        match binding:
            case Fixed(value):
                return value
            case Argument(name, renames):
                value = self.arguments.get(name, _ABSENT)
                return value if renames is None else renames.on_wire(value)
            case FromContext():
                return self.from_context(binding)
            case Members(members):
                filled = {name: self.value(member) for name, member in members}
                present = {name: value for name, value in filled.items() if value is not _ABSENT}
                return present if present or not members else _ABSENT
            case Items(items):
                values = [value for item in items if (value := self.value(item)) is not _ABSENT]
                return values if values or not items else _ABSENT

    def from_context(self, binding: FromContext) -> str:
        """A value the model cannot set. One that is not known refuses the call: it is there because it matters."""
        value = getattr(self.context, binding.party).get(binding.name)
        if not isinstance(value, str) or not value:
            raise RequestUnusable(
                f"{binding.party}.{binding.name} is not known for this call",
                hint=f"have the token carry it, or take {{from: {binding.party}.{binding.name}}} out of the tool",
            )
        return value

    def segment(self, segment: Segment) -> str:
        """One path segment, whose values may not lead out of it."""
        if len(segment) == 1 and isinstance(segment[0], str):
            return segment[0]
        text = "".join([part if isinstance(part, str) else self.path_value(part) for part in segment])
        if leads_away(text):
            names = " or ".join(f'"{part.field.name[:80]}"' for part in segment if not isinstance(part, str))
            raise RequestUnusable(f'{names} holds "." or ".." as a part of a path')
        return text

    def path_value(self, bound: Bound) -> str:
        """One value of a segment, escaped."""
        value = self.value(bound.binding)
        return path_value(bound.field, None if value is _ABSENT else value)

    def query(self, plan: RequestPlan) -> str:
        """The query with its question mark, or nothing."""
        text = "&".join([f"{name}={value}" for name, value in self.pairs(plan.query, query_pairs)])
        return f"?{text}" if text else ""

    def pairs(self, fields: tuple[Bound, ...], write: Callable[[Field, Any], list[Pair]]) -> list[Pair]:
        """The pairs of those fields that have a value."""
        pairs: list[Pair] = []
        for place, binding in fields:
            value = self.value(binding)
            if value is not _ABSENT:
                pairs += write(place, value)
        return pairs

    def headers(self, plan: RequestPlan, body: Written | None) -> tuple[tuple[str, str], ...]:
        """The headers of the plan, and those its cookies, body and key need."""
        headers: list[tuple[str, str]] = []
        for place, binding in plan.headers:
            value = self.value(binding)
            text = None if value is _ABSENT else header_value(place, value)
            if text is not None:
                headers.append((place.name, text))
        if plan.cookies and (cookies := self.pairs(plan.cookies, cookie_pairs)):
            headers.append(("Cookie", "; ".join([f"{name}={value}" for name, value in cookies])))
        if plan.idempotency_header:
            headers.append((plan.idempotency_header, self.idempotency_key(plan)))
        if body is not None:
            headers.append(("Content-Type", body[1]))
        return tuple(headers)

    def idempotency_key(self, plan: RequestPlan) -> str:
        """The same for every sending of one tool call, another for any other call."""
        call = self.from_context(FromContext("call", "id"))
        return hashlib.sha256(f"{plan.method} {plan.base_url}{plan.path}\n{call}".encode()).hexdigest()[:32]

    def body(self, plan: RequestPlan) -> Written | None:
        """The body. One all of whose members are absent is an empty object; an absent ``$name`` is none."""
        body = plan.body
        if body is None:
            return None
        value = self.value(body.binding)
        if value is _ABSENT:
            if not isinstance(body.binding, Members):
                return None
            value = {}
        return write_body(body, value, plan.max_bytes)


def _whole(value: Any) -> Any:
    """The value with 2.0 written as 2, at every depth: schemas do not tell them apart, many APIs do."""
    match value:
        case float():
            return int(value) if value.is_integer() and abs(value) <= _LARGEST_WHOLE else value
        case dict():
            return {key: _whole(member) for key, member in value.items()}
        case list():
            return [_whole(item) for item in value]
        case _:
            return value
