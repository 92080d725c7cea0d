"""``remit serve``: the doors."""

from __future__ import annotations

from typing import Annotated

import typer

from remit.cli.common import run, settings_of


def serve(
    context: typer.Context,
    http: Annotated[
        str | None,
        typer.Option(
            "--http",
            metavar="HOST:PORT",
            help="Listen here instead of at `listen` (without `public_url` it becomes the server's name).",
        ),
    ] = None,
    stdio: Annotated[bool, typer.Option("--stdio", help="Serve one MCP client on standard input and output.")] = False,
    as_user: Annotated[
        str | None,
        typer.Option(
            "--as", metavar="USER", help="With --stdio: speak for this development user (never in production)."
        ),
    ] = None,
) -> None:
    """Serve MCP over HTTP, or over standard input and output with --stdio.

    Over HTTP one port carries /mcp, the embedded token service (/oauth2/*), /.well-known/*, /healthz and /readyz.
    """
    if stdio and http:
        raise typer.BadParameter("--stdio and --http exclude each other")
    if as_user and not stdio:
        raise typer.BadParameter("--as goes with --stdio; over HTTP every client brings its own token")
    settings = settings_of(context)
    if http:
        from remit.settings import listening_on

        settings = listening_on(settings, http)
    from remit.app import serving

    run(serving.stdio(settings, as_user) if stdio else serving.http(settings))
