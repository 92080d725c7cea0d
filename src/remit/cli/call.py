"""``remit call``: one tool call from the terminal, on the same path as every other door."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remit.cli.asking import Asked, asking
from remit.cli.common import exit_code, print_json, run, settings_of
from remit.errors import RemitError

if TYPE_CHECKING:
    from remit.bridge import CallResult
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
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Identify, find and decide; show the request. Nothing is sent or recorded."),
    ] = False,
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
    asked = Asked(tool, tuple(arguments or ()), as_user or "", agent or "")
    if dry_run:
        from remit.cli.dry_run import rehearse

        rehearse(settings, asked, explain=explain, as_json=as_json)
        return
    outcome = run(_make(settings, asked))
    _print(outcome, explain=explain, as_json=as_json)
    if outcome.error is not None:
        raise typer.Exit(exit_code(outcome.error))


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


async def _make(settings: Settings, asked: Asked) -> _Outcome:
    from remit.cli.explain import Explanation

    explanation = Explanation()
    async with asking(settings, asked) as (app, call):
        try:
            result = await app.bridge.call(await call(), explanation)
        except RemitError as error:
            explanation.failed(error)
            return _Outcome(asked.tool, error, explanation.steps)
        explanation.answered(result)
        return _Outcome(asked.tool, result, explanation.steps)


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
