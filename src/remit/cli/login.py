"""``remit login``, ``remit logout``, ``remit whoami``: the person at this machine, for stdio sessions and `remit call`.

No token is ever printed.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remit.cli.common import print_json, run, settings_of

if TYPE_CHECKING:
    from remit.login.device import DeviceCode
    from remit.login.login import Login, LoginClient, LoginTarget
    from remit.login.store import LoginStore
    from remit.settings import Settings


def login(
    context: typer.Context,
    device: Annotated[
        bool, typer.Option("--device", help="Sign in with a browser on another machine, by a code to type in there.")
    ] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address; open no browser here.")
    ] = False,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", metavar="SCOPE", help="Ask for this scope; may be repeated.")
    ] = None,
    issuer: Annotated[
        str, typer.Option("--issuer", metavar="URL", help="Sign in there instead of at `login.issuer`.")
    ] = "",
    client: Annotated[
        str, typer.Option("--client", metavar="ID", help="Sign in through this client instead of `login.client_id`.")
    ] = "",
) -> None:
    """Sign in, once, for every stdio session and `remit call` of these settings on this machine."""
    settings = settings_of(context)
    from remit.app.login import login_client, login_store, login_target

    party = login_client(settings, issuer=issuer, client_id=client, scopes=tuple(scope or ()))
    made = run(_sign_in(settings, party, device=device, browser=not no_browser))
    _say(f"signed in as {made.account or 'somebody'}: {login_store(settings).where(made.target)}")
    if made.target != login_target(settings) or not settings.login.enabled:
        _say(
            "these settings do not use that login: set login.issuer to "
            f"{made.target.issuer} and login.client_id to {made.target.client_id}, and do not switch login.enabled off"
        )


def logout(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="End every login of this machine's store.")] = False,
) -> None:
    """Sign out: the login is revoked where its issuer takes that, and forgotten here in any case."""
    settings = settings_of(context)
    from remit.app.login import login_store, login_target

    store = login_store(settings)
    target = login_target(settings)
    targets = store.targets() if every else (target,) if target else ()
    ended = [each for each in targets if run(_sign_out(settings, store, each))]
    for each in ended:
        _say(f"signed out at {each.issuer}")
    if not ended:
        _say("nobody is signed in")


def whoami(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False
) -> None:
    """Show who is signed in here, by which issuer, through which client, until when. Exit 4 when nobody is."""
    settings = settings_of(context)
    from remit.app.login import login_store, login_target, what_to_run
    from remit.clock import SystemClock
    from remit.errors import SignInRequired

    store, target, now = login_store(settings), login_target(settings), SystemClock().now()
    found = store.read(target) if target else None
    if found is None or (found.refresh_token is None and found.expires_at <= now):
        raise SignInRequired(what_to_run(settings))
    document = _document(found, store)
    if as_json:
        print_json(document)
        return
    from remit.cli.render import console, print_rows, relative_time, utc

    until = f"{utc(found.expires_at)} ({relative_time(found.expires_at, now)})"
    renewed = f"{until}, then renewed by itself" if found.refresh_token else until
    shown = {**document, "expires_at": renewed, "scopes": " ".join(found.scopes), "renewable": ""}
    print_rows(console("data"), ((name.replace("_", " "), str(value)) for name, value in shown.items()))


def _document(login: Login, store: LoginStore) -> dict[str, Any]:
    return {
        "account": login.account,
        "issuer": login.target.issuer,
        "client": login.target.client_id,
        "resource": login.target.resource,
        "scopes": list(login.scopes),
        "expires_at": login.expires_at,
        "renewable": login.refresh_token is not None,
        "kept_in": store.where(login.target),
    }


async def _sign_in(settings: Settings, client: LoginClient, *, device: bool, browser: bool) -> Login:
    from remit.app.login import login_store
    from remit.app.serving import issuer_served
    from remit.clock import SystemClock
    from remit.login.browser import sign_in_by_browser
    from remit.login.device import sign_in_by_device
    from remit.login.store import keep

    async with issuer_served(settings, client.target.issuer):
        if device:
            login = await sign_in_by_device(client, SystemClock(), _show_code)
        else:
            login = await sign_in_by_browser(client, SystemClock(), partial(_show_url, browser=browser))
    await keep(login_store(settings), login)
    return login


async def _sign_out(settings: Settings, store: LoginStore, target: LoginTarget) -> bool:
    """Whether there was anything to end. What cannot be revoked is forgotten all the same, and said."""
    from remit.app.login import known_client
    from remit.app.serving import issuer_served
    from remit.clock import SystemClock
    from remit.errors import SignInFailed, SignInUnavailable, StateInvalid
    from remit.login.ending import revoke

    async with store.locked(target):
        try:
            if login := store.read(target):
                async with issuer_served(settings, target.issuer):
                    await revoke(login, known_client(settings, target), SystemClock())
        except (SignInFailed, SignInUnavailable, StateInvalid) as error:
            _say(f"the login at {target.issuer} could not be revoked there: {error.message}")
        return store.erase(target)


def _show_url(url: str, *, browser: bool) -> None:
    _say(f"sign in with a browser on this machine, within 5 minutes:\n\n  {url}\n")
    if browser:
        import threading
        import webbrowser

        # A browser may run for as long as its window is open, and nobody waits for it.
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def _show_code(code: DeviceCode) -> None:
    _say(f"sign in with any browser at\n\n  {code.uri}\n\nand type in the code\n\n  {code.user_code}\n")
    if code.whole_uri:
        _say(f"or open {code.whole_uri}")


def _say(text: str) -> None:
    """Talk to the person. Names come from outside: they cannot steer the terminal."""
    from remit.cli.render import plain

    typer.echo(plain(text), err=True)
