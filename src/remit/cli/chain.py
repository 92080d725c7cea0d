"""``remit chain``: who acts for whom in a token."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from remit.cli.common import Exit, print_json


def chain(
    token: Annotated[
        str,
        typer.Argument(help="`-` to read it from standard input (a token on the command line can be seen by others)."),
    ] = "-",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Draw a token's delegation chain: who, on whose behalf, through whom, until when, and what is wrong with it.

    Reads both token profiles. Nothing is verified. Exit 1 where something is wrong.
    """
    from remit.cli.inspect_token import inspect, print_chain
    from remit.cli.render import console
    from remit.clock import SystemClock

    text = sys.stdin.read(1 << 20) if token == "-" else token
    inspection = inspect(text.strip(), SystemClock().now())
    if as_json:
        document = inspection.to_json()
        print_json({name: document[name] for name in ("verified", "chain", "times", "problems")})
    else:
        print_chain(console("data"), inspection)
    if inspection.problems:
        raise typer.Exit(Exit.PROBLEMS)
