"""``remit keys``: the embedded token service's signing keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from remit.cli.common import print_json, settings_of
from remit.errors import SettingsInvalid

if TYPE_CHECKING:
    from remit.settings import Settings
    from remit.sts.keys import RingKey

app = typer.Typer(help="List and rotate the token service's signing keys.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_keys(context: typer.Context, as_json: Json = False) -> None:
    """Print the keys: next (published, does not sign yet), active (signs), retiring (its tokens still live)."""
    from remit.clock import SystemClock
    from remit.sts.keys import KeyDirectory

    settings = _with_service(context)
    keys, now = KeyDirectory(settings.keys_dir).read().keys, SystemClock().now()
    documents = [_document(key, keys, now) for key in keys]
    if as_json:
        print_json({"keys": documents})
    elif documents:
        _print_table(documents, now)
    else:
        typer.echo("no keys yet: the first start makes one", err=True)


@app.command("rotate")
def rotate(
    context: typer.Context,
    emergency: Annotated[
        bool, typer.Option("--emergency", help="Replace every key at once: for when one may be in other hands.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Have the next key take over, without a restart.

    Gracefully: a next key is published now and signs once everybody can know it; nothing breaks. With --emergency
    every present key is gone at once, and every token they signed is refused by whoever asks for the keys again.
    """
    from remit.app.token_service import key_timing
    from remit.cli.control import record
    from remit.clock import SystemClock
    from remit.sts.keys import KeyDirectory, KeyRing

    settings, clock = _with_service(context), SystemClock()
    before = {item.key.kid for item in KeyDirectory(settings.keys_dir).read().keys}
    ring = KeyRing.open(settings.keys_dir, clock, key_timing(settings))
    if emergency:
        ring.replace()
    else:
        ring.rotate()
    keys = ring.keys
    new = keys[-1].key.kid
    if new not in before:
        what = {"kind": "emergency" if emergency else "graceful", "value": new, "dropped": " ".join(sorted(before))}
        record(settings, "rotate-keys", what if emergency else what | {"dropped": ""})
    if as_json:
        print_json({"keys": [_document(item, keys, clock.now()) for item in keys]})
    else:
        _print_table([_document(item, keys, clock.now()) for item in keys], clock.now())
    typer.echo(_emergency_text(settings) if emergency else _graceful_text(keys[-1], clock.now()), err=True)


def _with_service(context: typer.Context) -> Settings:
    settings = settings_of(context)
    if not settings.sts.enabled:
        raise SettingsInvalid(
            "there are no signing keys: the embedded token service is switched off",
            where="sts.enabled",
            hint="rotate the keys at the token service that is used instead",
        )
    return settings


def _document(key: RingKey, keys: tuple[RingKey, ...], now: float) -> dict[str, Any]:
    """``since`` and ``until`` are those of the state, in seconds since the epoch; ``until`` null: not known yet."""
    from remit.sts.keys import KeyState, state_of

    state = state_of(key, keys, now)
    following = next((other for other in keys if other.signs_from > key.signs_from), None)
    signs_until = following.signs_from if following else None
    since, until = {
        KeyState.NEXT: (key.published, key.signs_from),
        KeyState.ACTIVE: (key.signs_from, signs_until),
    }.get(state, (signs_until, key.kept_until))
    return {
        "kid": key.key.kid,
        "state": state.value,
        "since": since,
        "until": until,
        "algorithm": key.key.algorithm,
    }


def _print_table(documents: list[dict[str, Any]], now: float) -> None:
    from remit.cli.render import console, relative_time, utc

    out = console("data")
    out.print(f"{'KID':<44}{'STATE':<10}{'ALG':<7}{'SINCE':<22}UNTIL", style="dim", soft_wrap=True)
    for each in documents:
        until = f"{utc(each['until'])} ({relative_time(each['until'], now)})" if each["until"] else "-"
        line = f"{each['kid']:<44}{each['state']:<10}{each['algorithm']:<7}{utc(each['since']):<22}{until}"
        out.print(line, soft_wrap=True)


def _graceful_text(newest: RingKey, now: float) -> str:
    from remit.cli.render import relative_time

    return f"{newest.key.kid} signs {relative_time(newest.signs_from, now)}; nothing breaks until then or after"


def _emergency_text(settings: Settings) -> str:
    return (
        f"every earlier key is gone: tokens they signed are refused from now by {settings.issuer} and its MCP door "
        "(within a second, without a restart).\nPeople have to sign in again. An API that verifies by itself meets the "
        "new key within 30 seconds, and refuses old tokens once it fetches the keys again: after five minutes, ten at "
        "most."
    )
