"""``remit policy explain``: would this call be permitted, which rule decides, and what would have to change."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remit.cli.common import Exit, print_json, run, settings_of

if TYPE_CHECKING:
    from remit.app.explaining import Explained
    from remit.policy.decision import Decision

_PHASES = {"tool_list": "list", "tool_call": "call", "token_exchange": "exchange"}


def explain(
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="A development user, or any name with --role, --group and --scope.")],
    agent: Annotated[str, typer.Argument(help="The agent runner's client id.")],
    tool: Annotated[str, typer.Argument(help="The tool's name.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="key=value for each argument; key:=JSON for a value that is JSON.")
    ] = None,
    roles: Annotated[list[str] | None, typer.Option("--role", help="A role the user has besides.")] = None,
    groups: Annotated[list[str] | None, typer.Option("--group", help="A group the user is in besides.")] = None,
    scopes: Annotated[list[str] | None, typer.Option("--scope", help="A scope of their token besides.")] = None,
    assurance: Annotated[
        str, typer.Option(help="How the agent is known: authenticated, attested, registered or self_asserted.")
    ] = "authenticated",
    at: Annotated[
        datetime | None,
        typer.Option(help="When, in UTC (default: now).", formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    ] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="PATH", help="Ask this policy instead of the one in force.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say whether USER through AGENT may call TOOL, by which rule, and what would have to change. Nothing is called.

    Exit codes: 0 permitted, 4 denied.
    """
    from datetime import UTC

    from remit.app.explaining import Supposed, explain
    from remit.app.wiring import load_tools
    from remit.cli.call import typed_arguments
    from remit.clock import SystemClock
    from remit.principal import Assurance

    settings = with_policy(settings_of(context), policy)
    if assurance not in set(Assurance):
        raise typer.BadParameter(f"{assurance!r} is none of {', '.join(Assurance)}", param_hint="--assurance")
    supposed = Supposed(
        user=user,
        agent=agent,
        tool=tool,
        arguments=typed_arguments(tuple(arguments or ()), load_tools(settings).catalog.get(tool)),
        roles=tuple(roles or ()),
        groups=tuple(groups or ()),
        scopes=tuple(scopes or ()),
        assurance=Assurance(assurance),
        at=at.replace(tzinfo=UTC).timestamp() if at else 0,
    )
    explained = run(explain(settings, supposed, SystemClock()))
    if as_json:
        print_json(document(explained))
    else:
        _print(explained)
    if not explained.allowed:
        raise typer.Exit(Exit.DENIED)


def with_policy(settings: Any, path: Path | None) -> Any:
    """The settings with another policy in the place of theirs."""
    if path is None:
        return settings
    changed = settings.policy.model_copy(update={"path": path.absolute(), "engine": "embedded"})
    return settings.model_copy(update={"policy": changed})


def document(explained: Explained) -> dict[str, Any]:
    """For programs."""
    return {
        "allowed": explained.allowed,
        "decisions": {phase.value: _facts(decision) for phase, decision in explained.decisions.items()},
        "would_be_allowed_if": [change.says for change in explained.ways],
    }


def _facts(decision: Decision) -> dict[str, Any]:
    return {
        "allow": decision.allow,
        "rule": decision.rule,
        "reasons": [
            {"code": each.code, "message": each.message, "audience": each.audience} for each in decision.reasons
        ],
        "obligations": [{"type": each.type, **each.properties} for each in decision.obligations],
        "revision": decision.revision,
    }


def _print(explained: Explained) -> None:
    from remit.cli.render import compact, console, plain, print_rows

    out, question = console("data"), explained.question
    arguments = ", ".join(f"{name}={plain(value)}" for name, value in question.arguments.items())
    out.print(
        f"{question.principal.subject} ← {question.acting.actor.sub}  {question.tool.name}({arguments})", style="bold"
    )
    for phase, decision in explained.decisions.items():
        verdict = "permitted" if decision.allow else "denied"
        out.print(f"{_PHASES[phase.value]:<10}{verdict}", style="green" if decision.allow else "red")
        rows = [("rule", decision.rule), *(("because", f"{each.code}: {each.message}") for each in decision.reasons)]
        rows += [("demands", compact({"type": each.type, **each.properties})) for each in decision.obligations]
        if detail := decision.detail:
            rows.append(("detail", detail))
        print_rows(out, [(label, text) for label, text in rows if text])
    if explained.ways:
        out.print("it would be permitted if", style="bold")
        for change in explained.ways:
            out.print(f"  {plain(change.says)}")
    elif not explained.allowed:
        out.print("no one or two changes would do that could be thought of", style="dim")
