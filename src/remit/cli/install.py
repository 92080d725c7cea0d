"""``remit install`` and ``remit uninstall``: this server's entry in the files of MCP clients."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remit.cli.common import Exit, print_json, settings_of
from remit.errors import SettingsInvalid
from remit.install.places import Client, Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from remit.install.editing import Change
    from remit.install.places import Place
    from remit.settings import Settings


class Target(StrEnum):
    """What `remit install` is asked for."""

    CLAUDE_DESKTOP = "claude-desktop"
    CLAUDE_CODE = "claude-code"
    VSCODE = "vscode"
    CURSOR = "cursor"
    JSON = "json"


Name = Annotated[str, typer.Option(metavar="NAME", help="What the entry is called.")]
Project = Annotated[bool, typer.Option("--project", help="In the files of the project here, not in your own.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")]


def install(
    context: typer.Context,
    client: Annotated[Target, typer.Argument(help="The client; `json` prints entries for any other.")],
    http: Annotated[bool, typer.Option("--http", help="The client connects to a running `remit serve`.")] = False,
    stdio: Annotated[bool, typer.Option("--stdio", help="The client starts remit itself (the default).")] = False,
    name: Name = "remit",
    project: Project = False,
    url: Annotated[str, typer.Option(metavar="URL", help="With --http: where (default: as the settings say).")] = "",
    only_print: Annotated[bool, typer.Option("--print", help="Print the entry; write nothing.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Put this server into a client's file: shows the difference, asks, keeps a copy of the old file beside it.

    No token or secret is written: over HTTP the client has its user sign in, over stdio they run `remit login` once.
    """
    if http and stdio:
        raise typer.BadParameter("--http and --stdio exclude each other")
    from remit.install.places import check_name, check_transport

    check_name(name)
    settings = settings_of(context)
    url = _url(settings, url)
    if client is Target.JSON:
        asked = {Transport.HTTP: http, Transport.STDIO: stdio}
        print_json(_for_any_client(settings, url, name, [each for each in asked if asked[each] or not http | stdio]))
        return
    chosen = Client(client)
    transport = Transport.HTTP if http else Transport.STDIO
    check_transport(chosen, transport, url)
    entry = _entry(settings, chosen, transport, url)
    if only_print:
        print_json({name: entry})
        return
    from remit.install.jsonc import with_entry

    place = _place(chosen, project=project)
    change = _planned(place.file, lambda text: with_entry(text, place.table, name, entry, where=str(place.file)))
    _carry_out(change, yes=yes, as_json=as_json)


def uninstall(
    context: typer.Context,
    client: Annotated[Client, typer.Argument(help="The client.")],
    name: Name = "remit",
    project: Project = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take this server out of a client's file again."""
    del context
    from remit.install.jsonc import without_entry

    place = _place(client, project=project)
    change = _planned(place.file, lambda text: without_entry(text, place.table, name, where=str(place.file)))
    _carry_out(change, yes=yes, as_json=as_json)


def _for_any_client(settings: Settings, url: str, name: str, transports: list[Transport]) -> dict[str, object]:
    """As most clients spell it."""
    names = {Transport.HTTP: name, Transport.STDIO: name if len(transports) == 1 else f"{name}-stdio"}
    entries = {
        names[each]: _entry(settings, Client.CLAUDE_CODE, each, url, called=Target.JSON.value) for each in transports
    }
    return {"mcpServers": entries}


def _url(settings: Settings, url: str) -> str:
    """Where a client sends its user's token. Raises ``SettingsInvalid`` where none should be sent."""
    from remit.web import is_secure

    if url and not is_secure(url):
        raise SettingsInvalid(
            "no token may be sent there",
            where="--url",
            hint="use an https URL (http only for this machine), without user name and fragment",
        )
    return url or settings.mcp_resource


def _entry(
    settings: Settings, client: Client, transport: Transport, url: str, *, called: str = ""
) -> dict[str, object]:
    from remit.install.places import http_entry, stdio_entry

    if transport is Transport.HTTP:
        return http_entry(client, url)
    return stdio_entry(client, this_command(), config_of(settings), called or client.value)


def this_command() -> list[str]:
    """How a client without a PATH starts the remit that runs here."""
    from remit.install.places import command_of

    program = command_of(Path(sys.argv[0]).absolute(), sys.platform)
    if program is not None and program.is_file():
        return [str(program)]
    return [str(Path(sys.executable).absolute()), "-m", "remit"]


def config_of(settings: Settings) -> str:
    """The settings file, absolute. Raises ``SettingsInvalid`` where there is none: a client runs anywhere."""
    if settings.file is None:
        raise SettingsInvalid(
            "there is no settings file that the client could start remit with",
            where="--config",
            hint="run this where remit.yaml is, or name it: remit --config FILE install …",
        )
    return str(settings.file)


def _place(client: Client, *, project: bool) -> Place:
    from remit.install.editing import this_machine
    from remit.install.places import place_of

    return place_of(client, this_machine(), Path.cwd() if project else None)


def _planned(file: Path, edit: Callable[[str], str]) -> Change:
    from remit.install.editing import planned

    return planned(file, edit)


def _carry_out(change: Change, *, yes: bool, as_json: bool) -> None:
    from remit.clock import SystemClock
    from remit.install.editing import apply

    file = str(change.file)
    if not change.is_needed:
        _say({"file": file, "changed": False}, f"{file} needs no change", as_json=as_json)
        return
    typer.echo(change.diff(), nl=False, err=True)
    if not yes:
        if not sys.stdin.isatty():
            raise SettingsInvalid(
                "nobody is here to be asked", where="--yes", hint="add --yes to write it, or --print to see the entry"
            )
        if not typer.confirm(f"Write {file}?", err=True):
            raise typer.Exit(Exit.PROBLEMS)
    backup = apply(change, SystemClock().now())
    kept = f" (before: {backup})" if backup else ""
    document = {"file": file, "changed": True, "backup": str(backup) if backup else None}
    _say(document, f"wrote {file}{kept}; restart the client", as_json=as_json)


def _say(document: dict[str, object], text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        typer.echo(text)
