"""``remit revoke``: the kill switch."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remit.cli.common import print_json, settings_of
from remit.errors import SettingsInvalid

if TYPE_CHECKING:
    from remit.settings import Settings
    from remit.sts.revocation import Order, Revocation, RevocationList

app = typer.Typer(help="Revoke tokens, people's sessions and agents; at once, without a restart.")

_MAX_TOKEN = 64 * 1024
_LEEWAY = 60
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback(invoke_without_command=True)
def revoke(
    context: typer.Context,
    jti: Annotated[str | None, typer.Option("--jti", metavar="ID", help="One token, by its `jti`.")] = None,
    txn: Annotated[
        str | None, typer.Option("--txn", metavar="ID", help="Every token of one transaction, by its `txn`.")
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option("--subject", metavar="USER", help="Every token on behalf of USER that was issued until now."),
    ] = None,
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="ID", help="An agent or client: it can do nothing any more.")
    ] = None,
    token: Annotated[
        str | None, typer.Option("--token", metavar="-", help="One token, read from standard input (`-`).")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the list and the trail.")] = "",
    lasting: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="For how long: 15m, 2h, 30d (default: until lifted).")
    ] = "",
    as_json: Json = False,
) -> None:
    """Revoke one of: a token, a transaction, all tokens of a person, an agent.

    Effective at once at the MCP door, at every exchange and at introspection, also in servers that run. An API that
    verifies tokens by itself learns of it when the token expires: after five minutes as delegated tokens are issued.
    """
    if context.invoked_subcommand is not None:
        return
    named = {"jti": jti, "txn": txn, "subject": subject, "actor": actor, "token": token}
    chosen = {kind: value for kind, value in named.items() if value is not None}
    if len(chosen) != 1:
        raise typer.BadParameter("name exactly one of --jti, --txn, --subject, --actor and --token")
    [(kind, value)] = chosen.items()
    settings = settings_of(context)
    order = _order(kind, value, reason, lasting)
    _apply(settings, order, as_json=as_json)


@app.command("list")
def list_revocations(context: typer.Context, as_json: Json = False) -> None:
    """Print what is revoked now."""
    revocations = _open(settings_of(context))
    entries = revocations.entries()
    revocations.close()
    if as_json:
        print_json({"revocations": [_document(each) for each in entries]})
    else:
        _print_table(entries)


@app.command("lift")
def lift(
    context: typer.Context,
    number: Annotated[int, typer.Argument(help="The revocation's number, as `remit revoke list` shows it.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the trail.")] = "",
) -> None:
    """End a revocation before its time."""
    from remit.cli.control import operator, record

    settings = settings_of(context)
    revocations = _open(settings)
    lifted = revocations.lift(number, reason=reason, by=operator())
    revocations.close()
    what = {"kind": lifted.order.kind.value, "value": lifted.order.value, "number": str(number), "reason": reason}
    record(settings, "lift-revocation", what)
    typer.echo(f"lifted {number}: {lifted.order.kind.value} {lifted.order.value}", err=True)


def _order(kind: str, value: str, reason: str, lasting: str) -> Order:
    from remit.cli.control import operator
    from remit.clock import SystemClock
    from remit.sts.revocation import Kind, Order

    now = SystemClock().now()
    until = int(now + _seconds(lasting)) if lasting else None
    if kind == "token":
        value, exp = _read_token(value, now)
        return Order(Kind.JTI, value, until or exp + _LEEWAY, reason, operator())
    return Order(Kind(kind), value, until, reason, operator())


def _seconds(lasting: str) -> float:
    from pydantic import TypeAdapter, ValidationError

    from remit.settings.fields import Days

    try:
        return TypeAdapter(Days).validate_python(lasting)
    except ValidationError as error:
        raise typer.BadParameter("--for is a duration such as 15m, 2h or 30d") from error


def _read_token(value: str, now: float) -> tuple[str, int]:
    """``jti`` and ``exp`` of the token on standard input. Not verified: whoever may revoke may revoke any name."""
    from remit.credential import UnverifiedToken
    from remit.tokens.checks import read_name, read_seconds
    from remit.tokens.parse import parse

    if value != "-":
        raise typer.BadParameter("--token reads from standard input: give it as `--token -`; others see a command line")
    claims = parse(UnverifiedToken(sys.stdin.read(_MAX_TOKEN).strip()), max_bytes=_MAX_TOKEN).claims
    jti, exp = read_name(claims, "jti"), int(read_seconds(claims, "exp") or 0)
    if not jti:
        raise SettingsInvalid("the token has no jti to revoke it by", hint="revoke its --subject or --txn instead")
    if exp + _LEEWAY <= now:
        raise SettingsInvalid("the token has expired already", hint="revoke its --txn, --subject or --actor instead")
    return jti, exp


def _apply(settings: Settings, order: Order, *, as_json: bool) -> None:
    from remit.cli.control import record

    revocations = _open(settings)
    added = revocations.add(order)
    revocations.close()
    what = {"kind": order.kind.value, "value": order.value, "number": str(added.id), "reason": order.reason}
    record(settings, "revoke", what)
    if as_json:
        print_json(_document(added))
    else:
        _print_table((added,))


def _open(settings: Settings) -> RevocationList:
    from remit.clock import SystemClock
    from remit.sts.revocation import RevocationFile, RevocationList

    return RevocationList(RevocationFile(settings.revocations_file), SystemClock())


def _document(revocation: Revocation) -> dict[str, Any]:
    order = revocation.order
    return {
        "number": revocation.id,
        "kind": order.kind.value,
        "value": order.value,
        "at": revocation.at,
        "until": order.until,
        "reason": order.reason,
        "by": order.by,
    }


def _print_table(entries: tuple[Revocation, ...]) -> None:
    from remit.cli.render import console, plain, utc

    out = console("data")
    if not entries:
        out.print("nothing is revoked")
        return
    out.print(f"{'NUMBER':<8}{'KIND':<9}{'AT':<22}{'UNTIL':<22}WHAT", style="dim", soft_wrap=True)
    for each in entries:
        order = each.order
        until = utc(order.until) if order.until else "lifted"
        told = f"{plain(order.value)}  by {plain(order.by)}" + (f"  ({plain(order.reason)})" if order.reason else "")
        out.print(f"{each.id:<8}{order.kind.value:<9}{utc(each.at):<22}{until:<22}{told}", soft_wrap=True)
