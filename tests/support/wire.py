"""Requests of described operations, as they go out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from remit.catalog.openapi.description import Content, Location, Operation, Parameter
from remit.catalog.openapi.wire import Bindings, Sending, plan_of
from remit.catalog.plan import Argument
from remit.catalog.tool import Tool
from remit.catalog.upstream import Upstream
from remit.downstream.request import ApiRequest, build_request
from support.tools import CONTEXT, tool_of

_TOOL = tool_of()
SENDING = Sending(Upstream("https://api.example", "https://api.example:443", ()))


def parameter(location: Location, name: str = "color", **more: Any) -> Parameter:
    """A parameter with the defaults of its place."""
    style = more.pop("style", "form" if location in {"query", "cookie"} else "simple")
    explode = more.pop("explode", style in {"form", "cookie"})
    return Parameter(
        name, location, required=False, schema=more.pop("schema", {}), style=style, explode=explode, **more
    )


def operation(path: str = "/things", *parameters: Parameter, method: Any = "GET") -> Operation:
    return Operation("", method, path, "", parameters=parameters)


def tool_for(
    described: Operation,
    content: Content | None = None,
    schemas: Mapping[str, Any] | None = None,
    *,
    sending: Sending = SENDING,
) -> Tool:
    """A tool whose arguments have the names of the parameters, and ``body``."""
    bindings = Bindings(
        {(each.location, each.name): Argument(each.name) for each in described.parameters},
        Argument("body") if content else None,
    )
    return replace(_TOOL, plan=plan_of(described, bindings, content, schemas or {}, sending))


def send(tool: Tool, **arguments: Any) -> ApiRequest:
    return build_request(tool, arguments, CONTEXT)


def posted(content: Content, value: Any, schemas: Mapping[str, Any] | None = None) -> tuple[bytes, str]:
    """The bytes of a body and its Content-Type."""
    request = send(tool_for(operation(method="POST"), content, schemas), body=value)
    assert request.body is not None
    return request.body, dict(request.headers)["Content-Type"]
