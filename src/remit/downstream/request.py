"""A tool's plan and one call's arguments → the one request they mean, every byte encoded (rule).

Arguments are values, never text that is pasted in: a path value stays inside its segment, a query value inside
its parameter, a header value inside its line, a body value inside its place in the tree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

from remit.catalog.plan import Argument, Binding, Field, Fixed, FromContext, Items, Members, RequestPlan, Segment
from remit.catalog.tool import Tool
from remit.catalog.upstream import is_header_text
from remit.downstream.fields import Encode, Pair, encode_json, pairs_of, plain_text
from remit.errors import RequestUnusable

_MAX_URL: Final = 8192
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One HTTP request as it will be sent, without the token. ``idempotent``: sending it twice acts once."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None = field(repr=False)
    idempotent: bool


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
    plan = tool.plan
    try:
        fill = _Filler(arguments, context)
        url = plan.base_url + "".join(f"/{fill.segment(segment)}" for segment in plan.segments)
        query = "&".join(f"{_encoded(name)}={value}" for name, value in fill.fields(plan.query, _encoded))
        body = fill.body(plan)
        headers = fill.headers(plan, with_body=body is not None)
    except UnicodeEncodeError:
        raise RequestUnusable("an argument holds half a character (a lone surrogate)") from None
    except (RecursionError, ValueError):
        raise RequestUnusable("an argument holds what JSON cannot: NaN, infinity, or too deep a nesting") from None
    url += f"?{query}" if query else ""
    if len(url) > _MAX_URL:
        raise RequestUnusable(f"the arguments make an address of more than {_MAX_URL} characters")
    return ApiRequest(plan.method, url, headers, body, plan.repeatable)


def _encoded(text: str) -> str:
    """Everything but RFC 3986's unreserved characters, percent-encoded."""
    return quote(text, safe="")


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
            case Argument(name):
                return self.arguments.get(name, _ABSENT)
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
        """One path segment. What decodes to ``.``, ``..`` or nothing would leave its place."""
        if not segment:
            return ""
        raw = "".join(part if isinstance(part, str) else self.path_text(part) for part in segment)
        if raw in {".", ".."}:
            raise RequestUnusable(f'"{raw}" cannot stand in a path')
        return "".join(part if isinstance(part, str) else _encoded(self.path_text(part)) for part in segment)

    def path_text(self, argument: Argument) -> str:
        """A path value as text. A server that decodes before it routes must not be led upwards either."""
        value = self.arguments.get(argument.name)
        text = "" if value is None else plain_text(argument.name, value)
        if not text:
            raise RequestUnusable(f'"{argument.name}" is empty, and the path needs it')
        if not {".", ".."}.isdisjoint(text.replace("\\", "/").split("/")):
            raise RequestUnusable(f'"{argument.name}" holds "." or ".." as a part of a path')
        return text

    def fields(self, fields: tuple[Field, ...], encode: Encode) -> list[Pair]:
        """The pairs of a query or a form; values are encoded by ``encode``, names are not."""
        pairs: list[Pair] = []
        for member in fields:
            value = self.value(member.binding)
            if value is not _ABSENT:
                pairs += pairs_of(member.name, value, member.style, encode)
        return pairs

    def headers(self, plan: RequestPlan, *, with_body: bool) -> tuple[tuple[str, str], ...]:
        """The headers of the plan, and those its body and key need."""
        headers: list[tuple[str, str]] = []
        for name, binding in plan.headers:
            value = self.value(binding)
            if value is not _ABSENT and value is not None:
                headers.append((name, _header_text(name, value)))
        if plan.idempotency_header:
            headers.append((plan.idempotency_header, self.idempotency_key(plan)))
        if with_body:
            headers.append(("Content-Type", "application/json" if plan.form is None else _FORM))
        return tuple(headers)

    def idempotency_key(self, plan: RequestPlan) -> str:
        """The same for every sending of one tool call, another for any other call."""
        call = self.from_context(FromContext("call", "id"))
        return hashlib.sha256(f"{plan.method} {plan.base_url}{plan.path}\n{call}".encode()).hexdigest()[:32]

    def body(self, plan: RequestPlan) -> bytes | None:
        """The body's bytes. A tree all of whose members are absent is an empty object; an absent ``$name`` is none."""
        if plan.form is not None:
            return urlencode(self.fields(plan.form, str)).encode("ascii")
        if plan.body is None:
            return None
        value = self.value(plan.body)
        if value is _ABSENT:
            return b"{}" if isinstance(plan.body, Members) else None
        return encode_json(value).encode()


def _header_text(name: str, value: Any) -> str:
    """A header's value; one that could end its line or be read as something else is refused."""
    text = plain_text(name, value)
    if not is_header_text(text):
        raise RequestUnusable(f'the value for the header "{name}" is not printable ASCII')
    return text
