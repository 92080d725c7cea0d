"""``remit call``: one tool call from the terminal, on the same path as every other door."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remit.cli.common import exit_code, print_json, run, settings_of
from remit.errors import RemitError

if TYPE_CHECKING:
    from remit.bridge import CallResult
    from remit.catalog.tool import Tool
    from remit.settings import Settings


def call(
    context: typer.Context,
    tool: Annotated[str, typer.Argument(help="The tool's name.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="key=value for each argument; key:=JSON for a value that is JSON.")
    ] = None,
    as_user: Annotated[
        str | None, typer.Option("--as", metavar="USER", help="Speak for this development user of `sts.users`.")
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option("--agent", metavar="ID", help="Act as this client of `sts.clients` (default: `agent`)."),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="Read the user's access token from this file.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show every step: who, why, which token, what was sent.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Call TOOL as a user, through an agent: identified, decided, exchanged, sent and audited like any other call.

    Exit codes: 0 done, 4 denied, 5 no token could be had, 6 the API failed, 7 invalid arguments or unknown tool.
    """
    if as_user and token_file:
        raise typer.BadParameter("--as and --token-file exclude each other")
    settings = settings_of(context)
    if token_file:
        settings = settings.model_copy(update={"subject_token_file": token_file.absolute(), "subject_token": ""})
    outcome = run(_make(settings, _Asked(tool, tuple(arguments or ()), as_user or "", agent or "")))
    _print(outcome, explain=explain, as_json=as_json)
    if outcome.error is not None:
        raise typer.Exit(exit_code(outcome.error))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line asked for."""

    tool: str
    pairs: tuple[str, ...]
    as_user: str
    agent: str


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of it: a result or an error, and the steps on the way."""

    tool: str
    ended: CallResult | RemitError
    steps: list[dict[str, Any]]

    @property
    def error(self) -> RemitError | None:
        """Why there is no result."""
        return self.ended if isinstance(self.ended, RemitError) else None

    def document(self) -> dict[str, Any]:
        """For programs. ``outcome`` is spelled as in the trail."""
        from remit.audit.event import outcome_of
        from remit.cli.render import error_document

        told = {"tool": self.tool, "outcome": outcome_of(self.error).value, "audit_id": self.ended.call_id}
        if isinstance(self.ended, RemitError):
            return {**told, "error": error_document(self.ended)}
        return {**told, "result": self.ended.result.data}


async def _make(settings: Settings, asked: _Asked) -> _Outcome:
    from functools import partial

    from remit.app.development import subject_token_source
    from remit.app.serving import issuer_served
    from remit.app.wiring import running
    from remit.bridge import ToolCall
    from remit.cli.explain import Explanation

    async with running(settings, agent=asked.agent) as app:
        explanation = Explanation()
        source = subject_token_source(app, asked.as_user or None, issuer_served=partial(issuer_served, settings))
        arguments = typed_arguments(asked.pairs, app.tools.catalog.get(asked.tool))
        try:
            call = ToolCall(door="cli", token=await source(), name=asked.tool, arguments=arguments)
            result = await app.bridge.call(call, explanation)
        except RemitError as error:
            explanation.failed(error)
            return _Outcome(asked.tool, error, explanation.steps)
        explanation.answered(result)
        return _Outcome(asked.tool, result, explanation.steps)


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


def _print(outcome: _Outcome, *, explain: bool, as_json: bool) -> None:
    from remit.cli.render import console, render_error
    from remit.cli.story import print_story

    if as_json:
        document = outcome.document()
        print_json({**document, "steps": outcome.steps} if explain else document)
        return
    if explain:
        print_story(console("data"), outcome.steps)
    elif isinstance(outcome.ended, RemitError):
        render_error(outcome.ended)
    else:
        print_json(outcome.ended.result.data)
