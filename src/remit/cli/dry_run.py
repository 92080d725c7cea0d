"""``remit call --dry-run``: everything up to the request, which is shown and not sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from remit.cli.asking import Asked, asking
from remit.cli.common import exit_code, print_json, run
from remit.cli.explain import Explanation, readable
from remit.errors import RemitError

if TYPE_CHECKING:
    from remit.bridge import Rehearsal
    from remit.settings import Settings


def rehearse(settings: Settings, asked: Asked, *, explain: bool, as_json: bool) -> None:
    """Show what the call would send. Ends with the exit code that the call would end with, were it refused here."""
    from remit.cli.render import console, error_document, render_error
    from remit.cli.story import print_story

    explanation = Explanation()
    ended = run(_rehearsal(settings, asked, explanation))
    steps = {"steps": explanation.steps} if explain else {}
    if isinstance(ended, RemitError):
        if as_json:
            print_json({"tool": asked.tool, "dry_run": True, "error": error_document(ended), **steps})
        else:
            render_error(ended)
        raise typer.Exit(exit_code(ended))
    told = _told(ended)
    if as_json:
        print_json({"tool": asked.tool, "dry_run": True, **told, **steps})
        return
    if explain:
        print_story(console("data"), explanation.steps)
    _print(told)
    _say_what_policy_demands(explanation)


async def _rehearsal(settings: Settings, asked: Asked, explanation: Explanation) -> Rehearsal | RemitError:
    async with asking(settings, asked) as (app, call):
        try:
            return await app.bridge.rehearse(await call(), explanation)
        except RemitError as error:
            return error


def _told(rehearsal: Rehearsal) -> dict[str, Any]:
    request, wanted = rehearsal.request, rehearsal.wanted
    sent = {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "body": readable(request.body),
    }
    if wanted is None:
        return {"request": sent}
    token = {
        "audience": wanted.target.audience,
        "resource": wanted.target.resource,
        "scopes": list(wanted.scopes),
        "lifetime": wanted.max_lifetime,
    }
    return {"request": sent, "token": {name: value for name, value in token.items() if value}}


def _print(told: dict[str, Any]) -> None:
    from remit.cli.render import compact, plain

    request, token = told["request"], told.get("token")
    typer.echo(plain(f"{request['method']} {request['url']}"))
    for name, value in request["headers"].items():
        typer.echo(plain(f"{name}: {value}"))
    if request["body"] is not None:
        typer.echo(f"\n{plain(request['body'])}")
    if token:
        typer.echo(f"with a token: {plain(compact(token))}", err=True)
    typer.echo("not sent: this was a dry run", err=True)


def _say_what_policy_demands(explanation: Explanation) -> None:
    from remit.cli.render import compact, plain

    for step in explanation.steps:
        for demand in step.get("obligations", ()):
            typer.echo(f"policy demands: {plain(compact(demand))}", err=True)
