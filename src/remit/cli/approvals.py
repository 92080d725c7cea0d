"""``remit approvals``: what waits for somebody's yes, and how they say it."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from remit.cli.common import print_json, run, settings_of
from remit.errors import ApprovalUnusable

if TYPE_CHECKING:
    from rich.console import Console

    from remit.app.wiring import App
    from remit.approvals.approval import Approval, Approver, Terms
    from remit.approvals.store import ApprovalStore
    from remit.settings import Settings

app = typer.Typer(help="See which calls wait for approval; grant or deny them.", no_args_is_help=True)

_MAX_SHOWN: Final = 160
Id = Annotated[str, typer.Argument(metavar="ID", help="The approval's id, or the beginning of it.")]
As = Annotated[str | None, typer.Option("--as", metavar="USER", help="Speak for this development user of `sts.users`.")]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="Read your own access token from this file.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
T = TypeVar("T")


@app.command("list")
def list_approvals(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Also those that were decided, used or have expired.")] = False,
    as_json: Json = False,
) -> None:
    """Print the calls that wait for somebody's approval: which, for whom, through whom, with which arguments."""
    approvals = _look(settings_of(context), lambda store: store.listed(every=every))
    if as_json:
        print_json({"approvals": [_document(each) for each in approvals]})
    else:
        _print_table(approvals)


@app.command("show")
def show(context: typer.Context, approval_id: Id, as_json: Json = False) -> None:
    """Print one approval: the call with all its arguments, who may approve it, what became of it."""
    approval = _look(settings_of(context), lambda store: store.find(approval_id))
    if as_json:
        print_json(_document(approval))
    else:
        _print_page(approval)


@app.command("grant")
def grant(context: typer.Context, approval_id: Id, as_user: As = None, token_file: TokenFile = None) -> None:
    """Let a call through, once, as it was asked about. Who you are is proved as for `remit call`.

    Exit 4 where you may not approve it, or it was decided already or has expired.
    """
    _decide(context, approval_id, as_user, token_file, granted=True)


@app.command("deny")
def deny(context: typer.Context, approval_id: Id, as_user: As = None, token_file: TokenFile = None) -> None:
    """Refuse a call. It is answered so until the approval expires."""
    _decide(context, approval_id, as_user, token_file, granted=False)


def _look(settings: Settings, ask: Callable[[ApprovalStore], Coroutine[Any, Any, T]]) -> T:
    """What needs the state directory alone: whoever can read it is the operator."""
    from remit.approvals.store import ApprovalStore
    from remit.clock import SystemClock

    with closing(ApprovalStore(settings.approvals_file, SystemClock())) as store:
        return run(ask(store))


def _decide(
    context: typer.Context, approval_id: str, as_user: str | None, token_file: Path | None, *, granted: bool
) -> None:
    if as_user and token_file:
        raise typer.BadParameter("--as and --token-file exclude each other")
    settings = settings_of(context)
    if token_file:
        settings = settings.model_copy(update={"subject_token_file": token_file.absolute(), "subject_token": ""})
    decided = run(_decided(settings, approval_id, as_user, granted=granted))
    typer.echo(f"{decided.state.value} {decided.id}: {_call_line(decided)}, {_when(decided)}", err=True)


async def _decided(settings: Settings, approval_id: str, as_user: str | None, *, granted: bool) -> Approval:
    """The decision, recorded before it counts: one that cannot be recorded is none."""
    from remit.app.wiring import running

    async with running(settings) as app:
        approver = await _approver(app, as_user)
        approval = await app.approvals.find(approval_id)
        approval.check_decision(approver)
        facts = approval.facts(approver, "operator")
        await app.trail.control("approval.granted" if granted else "approval.denied", facts)
        try:
            return await app.approvals.decide(approval.id, approver, grant=granted, method="operator")
        except ApprovalUnusable:  # somebody else was faster: what was recorded is not so
            await app.trail.control("approval.void", facts)
            raise


async def _approver(app: App, as_user: str | None) -> Approver:
    from remit.app.development import subject_token_source
    from remit.approvals.approval import Approver

    caller = await app.bridge.identify(await subject_token_source(app, as_user)())
    if actor := caller.principal.chain.current:
        raise ApprovalUnusable(
            "an agent cannot approve in somebody's name",
            detail=f"{actor.sub} acts for {caller.principal.subject}",
            hint="present a token of your own sign-in, in which nobody acts for you",
        )
    if caller.principal.subject == caller.principal.client_id:  # a token of the client's own (RFC 9068 §2.2)
        raise ApprovalUnusable(
            "an agent or service cannot approve, whatever roles it has",
            detail=f"{caller.principal.subject} of {caller.principal.issuer}",
            hint="present a token of your own sign-in",
        )
    return Approver.of(caller.principal)


# ── how it looks ─────────────────────────────────────────────────────────────────────────


def _document(approval: Approval) -> dict[str, Any]:
    binding, approver = approval.binding, approval.approver
    return {
        "id": approval.id,
        "state": approval.state.value,
        "tool": {"name": binding.tool, "digest": binding.tool_digest},
        "subject": {"sub": binding.subject, "iss": binding.issuer},
        "actor": {"sub": binding.actor, "iss": binding.actor_issuer},
        "arguments": approval.arguments,
        "approvers": approval.terms.approvers,
        "asked_at": approval.asked_at,
        "expires_at": approval.expires_at,
        "approver": {"sub": approver.subject, "iss": approver.issuer} if approver else None,
        "method": approval.method,
        "decided_at": approval.decided_at,
    }


def _print_table(approvals: list[Approval]) -> None:
    from remit.cli.render import console, plain

    out = console("data")
    if not approvals:
        out.print("nothing waits for approval")
        return
    out.print(f"{'ID':<28}{'STATE':<10}{'TIME':<14}CALL", style="dim", soft_wrap=True)
    for each in approvals:
        told = f"{_call_line(each)}  needs {_people(each.terms)}"
        out.print(f"{each.id:<28}{each.state.value:<10}{_when(each):<14}{told}", soft_wrap=True)
        if each.arguments:
            _print_arguments(out, plain(_text(each)))


def _print_arguments(out: Console, text: str) -> None:
    """On one line; whoever is to approve a longer one sees all of it with ``show``."""
    shown = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]} … ({len(text)} characters, see `show`)"
    out.print(f"{'':<28}{shown}", style="dim", soft_wrap=True)


def _print_page(approval: Approval) -> None:
    from remit.cli.render import chain_line, console, print_rows, utc

    binding, approver = approval.binding, approval.approver
    rows = [
        ("approval", approval.id),
        ("state", f"{approval.state.value}, {_when(approval)}"),
        ("tool", f"{binding.tool} ({binding.tool_digest[:12]})"),
        ("call", chain_line((binding.subject, binding.actor))),
        ("issuer", binding.issuer),
        ("arguments", _text(approval, indent=2) if approval.arguments else ""),
        ("approvers", _people(approval.terms)),
        ("asked", utc(approval.asked_at)),
        ("expires", utc(approval.expires_at)),
        ("decided", f"by {approver.subject} of {approver.issuer}, {approval.method}" if approver else ""),
    ]
    print_rows(console("data"), rows)


def _call_line(approval: Approval) -> str:
    from remit.cli.render import chain_line, plain

    return f"{plain(approval.binding.tool)} for {chain_line((approval.binding.subject, approval.binding.actor))}"


def _people(terms: Terms) -> str:
    """``user or role:lead, and group:managers``."""
    from remit.cli.render import plain

    return plain(", and ".join(" or ".join(names) for names in terms.approvers))


def _when(approval: Approval) -> str:
    from remit.cli.render import duration, relative_time
    from remit.clock import SystemClock

    now = SystemClock().now()
    if approval.state in ("pending", "approved"):
        return f"{duration(max(approval.expires_at - now, 0))} left"
    return relative_time(approval.decided_at or approval.expires_at, now)


def _text(approval: Approval, indent: int | None = None) -> str:
    return json.dumps(approval.arguments, ensure_ascii=False, indent=indent)
