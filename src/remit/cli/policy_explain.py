"""``remit policy explain``: would this call be permitted, which rule decides, and what would have to change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remit.cli.common import Exit, print_json, run, settings_of
from remit.cli.policy_source import Json, PolicyPath, with_policy

if TYPE_CHECKING:
    from rich.console import Console

    from remit.app.explaining import Explained
    from remit.policy.counterfactual.search import Way
    from remit.policy.decision import Decision
    from remit.principal import Assurance

_IF = "it would be permitted if"
_IF_FREE = "it would be permitted just so if"
_PHASES = {"tool_list": "list", "tool_call": "call", "token_exchange": "exchange", "result": "answer"}

Pairs = Annotated[
    list[str] | None, typer.Argument(help="key=value for each argument; key:=JSON for a value that is JSON.")
]
Through = Annotated[
    list[str] | None,
    typer.Option("--through", metavar="ID", help="Who handed the request on to AGENT; in order, where several did."),
]
Known = Annotated[
    str, typer.Option(help="How the agent is known: authenticated, attested, registered or self_asserted.")
]
Moment = Annotated[
    datetime | None,
    typer.Option(help="When, in UTC (default: now).", formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
]


def explain(
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="A development user, or any name with --role, --group and --scope.")],
    agent: Annotated[str, typer.Argument(help="The agent runner's client id.")],
    tool: Annotated[str, typer.Argument(help="The tool's name.")],
    arguments: Pairs = None,
    roles: Annotated[list[str] | None, typer.Option("--role", help="A role the user has besides.")] = None,
    groups: Annotated[list[str] | None, typer.Option("--group", help="A group the user is in besides.")] = None,
    scopes: Annotated[list[str] | None, typer.Option("--scope", help="A scope of their token besides.")] = None,
    through: Annotated[
        list[str] | None,
        typer.Option(
            "--through", metavar="ID", help="Who handed the request on to AGENT; in order, where several did."
        ),
    ] = None,
    assurance: Annotated[
        str, typer.Option(help="How the agent is known: authenticated, attested, registered or self_asserted.")
    ] = "authenticated",
    at: Annotated[
        datetime | None,
        typer.Option(help="When, in UTC (default: now).", formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    ] = None,
    policy: PolicyPath = None,
    as_json: Json = False,
) -> None:
    """Say whether USER through AGENT may call TOOL, by which rule, and what would have to change. Nothing is called.

    Exit codes: 0 permitted, also under conditions; 4 denied.
    """
    from remit.app.explaining import Supposed, explain
    from remit.app.wiring import load_tools
    from remit.cli.asking import typed_arguments
    from remit.clock import SystemClock

    settings = with_policy(settings_of(context), policy)
    supposed = Supposed(
        user=user,
        agent=agent,
        tool=tool,
        arguments=typed_arguments(tuple(arguments or ()), load_tools(settings).catalog.get(tool)),
        roles=tuple(roles or ()),
        groups=tuple(groups or ()),
        scopes=tuple(scopes or ()),
        through=tuple(through or ()),
        assurance=_assurance(assurance),
        at=at.replace(tzinfo=UTC).timestamp() if at else 0,
    )
    _tell(run(explain(settings, supposed, SystemClock())), as_json=as_json)


def _assurance(text: str) -> Assurance:
    from remit.principal import Assurance

    if text not in set(Assurance):
        raise typer.BadParameter(f"{text!r} is none of {', '.join(Assurance)}", param_hint="--assurance")
    return Assurance(text)


def _tell(explained: Explained, *, as_json: bool) -> None:
    if as_json:
        print_json(document(explained))
    else:
        _print(explained)
    if not explained.verdict.allowed:
        raise typer.Exit(Exit.DENIED)


# ── for programs ─────────────────────────────────────────────────────────────────────────


def document(explained: Explained) -> dict[str, Any]:
    """Everything that is known."""
    from remit.cli.render import decision_document

    return {
        "allowed": explained.verdict.allowed,
        "conditions": list(explained.verdict.conditions),
        **({"problem": explained.problem} if explained.problem else {}),
        "decisions": {phase.value: decision_document(decision) for phase, decision in explained.decisions.items()},
        **({"decision_then": decision_document(explained.again)} if explained.again else {}),
        "ways": [_way(way) for way in explained.found.ways],
        "steps": [_way(way) for way in explained.found.steps],
        "complete": explained.is_complete,
    }


def _way(way: Way) -> dict[str, Any]:
    return {"if": way.says, "conditions": list(way.conditions), "changes": list(way.kinds)}


# ── for people ───────────────────────────────────────────────────────────────────────────


def _print(explained: Explained) -> None:
    from remit.cli.render import chain_line, console, plain

    out, question = console("data"), explained.question
    handed_on = [actor.sub for actor in reversed(question.principal.chain.actors)]
    names = chain_line([question.principal.subject, *handed_on, question.acting.actor.sub])
    arguments = ", ".join(f"{plain(name)}={plain(value)}" for name, value in question.arguments.items())
    out.print(f"{names}  {question.tool.name}({arguments})", style="bold", soft_wrap=True)
    style = "green" if explained.verdict.is_free else "yellow" if explained.verdict.allowed else "red"
    out.print(plain(_verdict(explained)), style=f"bold {style}", soft_wrap=True)
    for phase, decision in explained.decisions.items():
        _print_decision(out, _PHASES[phase.value], decision)
        if phase.value == "tool_call" and explained.again is not None and not explained.again.allow:
            _print_decision(out, "then", explained.again)
    _print_ways(out, explained)


def _verdict(explained: Explained) -> str:
    verdict = explained.verdict
    if verdict.conditions:
        return f"permitted, once {' and '.join(verdict.conditions)}"
    if explained.problem:
        return f"refused: {explained.problem}"
    if verdict.allowed:
        return "permitted"
    call = explained.decisions[explained.question.phase]
    is_hidden = not call.allow and not call.failed and not call.user_reasons
    return "denied; the agent is told that there is no such tool" if is_hidden else "denied"


def _print_decision(out: Console, label: str, decision: Decision) -> None:
    from remit.cli.render import compact, print_rows

    verdict = "permitted" if decision.allow else "denied"
    out.print(f"{label:<10}{verdict}", style="green" if decision.allow else "red")
    rows = [("rule", decision.rule)]
    rows += [("because", f"{each.code}: {each.message} (for {each.audience})") for each in decision.reasons]
    rows += [("demands", compact({"type": each.type, **each.properties})) for each in decision.obligations]
    print_rows(out, [*rows, ("detail", decision.detail)])


def _print_ways(out: Console, explained: Explained) -> None:
    found = explained.found
    if found.ways:
        _print_list(out, _IF_FREE if explained.verdict.allowed else _IF, found.ways)
    elif not explained.verdict.allowed:
        out.print(_told_without_ways(explained), style="dim", soft_wrap=True)
        if found.steps:
            _print_list(out, "a part of what is in the way would be gone if", found.steps)
    if not explained.is_complete:
        out.print("there was not time enough to try everything", style="dim")


def _print_list(out: Console, head: str, ways: Sequence[Way]) -> None:
    from remit.cli.render import plain

    out.print(head, style="bold")
    for way in ways:
        once = f"  (once {' and '.join(way.conditions)})" if way.conditions else ""
        out.print(f"  {plain(way.says)}{plain(once)}", soft_wrap=True)


def _told_without_ways(explained: Explained) -> str:
    if any(getattr(decision, "failed", False) for decision in explained.decisions.values()):
        return "policy failed, so it is the policy that has to change: `remit policy check` and `remit policy eval`"
    return "no one or two changes were found that would do"
