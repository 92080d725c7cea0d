"""A call as the command line asks for it: which tool, with what, for whom (path)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from remit.app.wiring import App
    from remit.bridge import ToolCall
    from remit.catalog.tool import Tool
    from remit.settings import Settings


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asked for."""

    tool: str
    pairs: tuple[str, ...]
    as_user: str
    agent: str


@asynccontextmanager
async def asking(settings: Settings, asked: Asked) -> AsyncIterator[tuple[App, Callable[[], Awaitable[ToolCall]]]]:
    """The installation, and what makes the call with the user's token, while the block runs."""
    from functools import partial

    from remit.app.development import subject_token_source
    from remit.app.serving import issuer_served
    from remit.app.wiring import running
    from remit.bridge import ToolCall

    async with running(settings, agent=asked.agent) as app:
        source = subject_token_source(app, asked.as_user or None, issuer_served=partial(issuer_served, settings))
        arguments = typed_arguments(asked.pairs, app.tools.catalog.get(asked.tool))

        async def call() -> ToolCall:
            return ToolCall(door="cli", token=await source(), name=asked.tool, arguments=arguments)

        yield app, call


def typed_arguments(pairs: Sequence[str], tool: Tool | None) -> dict[str, Any]:
    """``key=value`` and ``key:=JSON`` → arguments. A plain value is text where the tool's schema says ``string``
    or nothing, and JSON where it says something else.
    """
    properties: Mapping[str, Any] = tool.input_schema.get("properties", {}) if tool else {}
    return dict(_typed(pair, properties) for pair in pairs)


def _typed(pair: str, properties: Mapping[str, Any]) -> tuple[str, Any]:
    key, equals, text = pair.partition("=")
    is_json = key.endswith(":")
    key = key.removesuffix(":")
    if not equals or not key:
        raise typer.BadParameter(f"{pair!r} is not key=value (or key:=JSON)")
    schema = properties.get(key)
    kind = schema.get("type", "string") if isinstance(schema, dict) else "string"
    if not is_json and (kind == "string" or "string" in kind):
        return key, text
    try:
        return key, json.loads(text)
    except ValueError as error:
        if is_json:
            raise typer.BadParameter(f"the value of {key} is not JSON: {error}") from error
        return key, text  # the schema will say what it should have been
