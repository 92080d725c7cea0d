"""``remit users``: the people of the settings, and the passwords they sign in with."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from remit.cli.common import print_json, settings_of
from remit.errors import SettingsInvalid

if TYPE_CHECKING:
    from remit.authorization.passwords import PasswordFile
    from remit.credential import Credential
    from remit.settings import Settings

app = typer.Typer(help="List the people who can sign in; set and remove their passwords.", no_args_is_help=True)

_MAX_LINE = 8 * 1024
User = Annotated[str, typer.Argument(help="A name of `sts.users`.")]


@app.command("list")
def list_users(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Print the people of the settings, and who has a password.

    A password of somebody who is not in the settings lets nobody in.
    """
    settings = settings_of(context)
    hashes = _file(settings).read()
    people = settings.sts.users
    names = sorted({*people, *hashes})
    documents = [
        {
            "user": name,
            "name": people[name].name if name in people else "",
            "in_settings": name in people,
            "has_password": name in hashes,
        }
        for name in names
    ]
    if as_json:
        print_json({"users": documents})
        return
    from remit.cli.render import console, plain

    out = console("data")
    out.print(f"{'USER':<24}{'PASSWORD':<10}NAME", style="dim", soft_wrap=True)
    for each in documents:
        told = plain(each["name"]) if each["in_settings"] else "(not in sts.users: cannot sign in)"
        out.print(f"{plain(each['user']):<24}{'yes' if each['has_password'] else '-':<10}{told}", soft_wrap=True)


@app.command("password")
def password(
    context: typer.Context,
    user: User,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read it as one line from standard input.")] = False,
) -> None:
    """Set the password of USER; asked for twice, and not shown. Whoever is signed in as USER has to sign in again.

    Only its argon2id hash is kept. Authorizations that USER gave stay: `remit revoke --subject` ends what they allow.
    """
    from remit.authorization.passwords import hash_password
    from remit.cli.control import record

    settings = settings_of(context)
    if user not in settings.sts.users:
        raise SettingsInvalid(
            f"there is no user {user}", where="sts.users", hint="add them to sts.users, with their scopes, first"
        )
    try:
        hash_ = hash_password(_read_line() if stdin else _ask(user))
    except ValueError as error:
        raise SettingsInvalid(str(error)) from error
    _file(settings).change(lambda hashes: hashes.update({user: hash_}))
    record(settings, "set-password", {"kind": "user", "value": user})
    typer.echo(f"{user} has a new password", err=True)


@app.command("remove")
def remove(context: typer.Context, user: User) -> None:
    """Remove the password of USER: they can sign in no more, and are signed out. They stay in the settings."""
    from remit.cli.control import record

    def edit(hashes: dict[str, str]) -> None:
        if hashes.pop(user, None) is None:
            raise SettingsInvalid(f"{user} has no password", hint="`remit users list` shows who has one")

    settings = settings_of(context)
    _file(settings).change(edit)
    record(settings, "remove-password", {"kind": "user", "value": user})
    typer.echo(f"{user} has no password any more", err=True)


def _file(settings: Settings) -> PasswordFile:
    from remit.authorization.passwords import PasswordFile

    return PasswordFile(settings.passwords_file)


def _read_line() -> Credential:
    from remit.credential import Credential

    line = sys.stdin.readline(_MAX_LINE)
    return Credential(line.removesuffix("\n").removesuffix("\r"))


def _ask(user: str) -> Credential:
    from remit.credential import Credential

    return Credential(typer.prompt(f"New password of {user}", hide_input=True, confirmation_prompt=True, err=True))
