"""``remit config``: what the settings come to."""

from __future__ import annotations

from typing import Annotated

import typer

from remit.cli.common import print_json, settings_of

app = typer.Typer(help="Show the settings in force.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Show the settings in force."""


@app.command("show")
def show(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
    effective: Annotated[
        bool, typer.Option("--effective", help="File, environment and defaults together (the default).")
    ] = True,
) -> None:
    """Show the settings that a command here would run with. Secrets are masked or shown as references."""
    del effective
    settings = settings_of(context)
    from remit.settings import effective as effective_settings

    document = effective_settings(settings)
    if as_json:
        print_json(document)
        return
    import yaml

    typer.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)
