"""``remit serve``: the doors."""

from __future__ import annotations

import gc
import re
from typing import Annotated, Final

import typer

from remit.cli.common import run, settings_of

_NAME: Final = re.compile(r"[A-Za-z0-9._:/@-]{0,128}")


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
    client: Annotated[
        str,
        typer.Option(
            "--client",
            metavar="NAME",
            help="With --stdio: what the client that starts this is called (nobody checks it: self_asserted).",
        ),
    ] = "",
) -> None:
    """Serve MCP over HTTP, or over standard input and output with --stdio.

    Over HTTP one port carries /mcp, the embedded token service (/oauth2/*), /.well-known/*, /healthz and /readyz.
    """
    if stdio and http:
        raise typer.BadParameter("--stdio and --http exclude each other")
    if as_user and not stdio:
        raise typer.BadParameter("--as goes with --stdio; over HTTP every client brings its own token")
    if client and not stdio:
        raise typer.BadParameter("--client goes with --stdio; over HTTP the token says which client it is")
    if not _NAME.fullmatch(client):
        raise typer.BadParameter("--client takes at most 128 letters, digits and . _ : / @ -")
    gc.disable()  # until it serves: hardly anything of what is loaded is garbage, and to look takes a tenth of the time
    try:
        _serve(context, http, as_user, client, stdio=stdio)
    finally:
        gc.enable()


def _serve(context: typer.Context, http: str | None, as_user: str | None, client: str, *, stdio: bool) -> None:
    settings = settings_of(context)
    if http:
        from remit.settings import listening_on

        settings = listening_on(settings, http)
    from remit.app import serving

    run(serving.stdio(settings, as_user, launched_by=client) if stdio else serving.http(settings))
