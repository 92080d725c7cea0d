"""``remit bundle``: what a desktop client installs by a click, and what a registry lists."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from remit.cli.common import print_json, settings_of

app = typer.Typer(help="Make an MCPB bundle or a registry's server.json.", no_args_is_help=True)


@app.command("mcpb")
def mcpb(
    context: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")] = Path(
        "remit.mcpb"
    ),
) -> None:
    """Write a bundle that starts `remit serve --stdio` with these settings; Claude Desktop installs it by a click."""
    settings = settings_of(context)
    from remit import __version__
    from remit.cli.install import config_of, this_command
    from remit.install.bundle import mcpb_archive, mcpb_manifest

    manifest = mcpb_manifest(this_command(), config_of(settings), version=__version__, name="mcpb")
    _write(output, mcpb_archive(manifest))


@app.command("server-json")
def server_json(
    context: typer.Context,
    name: Annotated[str, typer.Option(metavar="NAME", help="As the registry knows it: com.example/remit.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it, else printed.")
    ] = None,
) -> None:
    """Print or write the registry's entry of this server, with its public address where it has one."""
    settings = settings_of(context)
    import orjson

    from remit import __version__
    from remit.install.bundle import server_json as entry

    document = entry(name, version=__version__, url=settings.mcp_resource if settings.public_url else "")
    if output is None:
        print_json(document)
    else:
        _write(output, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


def _write(file: Path, content: bytes) -> None:
    from remit.errors import StateInvalid

    try:
        file.write_bytes(content)
    except OSError as error:
        raise StateInvalid(f"cannot be written: {error.strerror or error}", where=str(file)) from error
    typer.echo(f"wrote {file}", file=sys.stderr)
