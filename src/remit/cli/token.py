"""``remit token``: look into tokens, and mint one for a development user."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from remit.cli.common import print_json, run, settings_of

app = typer.Typer(help="Look into tokens; mint one for a development user.", no_args_is_help=True)


@app.command("inspect")
def inspect(
    token: Annotated[
        str,
        typer.Argument(help="`-` to read it from standard input (a token on the command line can be seen by others)."),
    ] = "-",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Decode a token: header, claims, its delegation chain, until when, and what is wrong with it.

    Nothing is verified: what it shows is what the token says of itself.
    """
    from remit.cli.inspect_token import inspect as inspect_token
    from remit.cli.inspect_token import print_inspection
    from remit.cli.render import console
    from remit.clock import SystemClock

    text = sys.stdin.read(1 << 20) if token == "-" else token
    inspection = inspect_token(text.strip(), SystemClock().now())
    if as_json:
        print_json(inspection.to_json())
    else:
        print_inspection(console("data"), inspection)


@app.command("mint")
def mint(
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="A development user of `sts.users`.")],
    hours: Annotated[float, typer.Option(help="How long it lives.", min=0.01, max=24)] = 1.0,
    audience: Annotated[str, typer.Option(metavar="NAME", help="Whom it is for (default: the MCP door).")] = "",
) -> None:
    """Print an access token of a development user. Not for production."""
    settings = settings_of(context)
    from remit.app.development import mint_for
    from remit.app.wiring import running

    async def make() -> str:
        async with running(settings) as app:
            token = mint_for(app, user, seconds=int(hours * 3600), audience=audience)
            return token.reveal()  # printed: that is what was asked for

    typer.echo(run(make()))
