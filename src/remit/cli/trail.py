"""How the trail looks on a terminal: one sentence a call, one page a call, one verdict on the whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from remit.cli.render import chain_line, compact, plain, print_rows, utc

if TYPE_CHECKING:
    from rich.console import Console

    from remit.audit.chain import Report
    from remit.audit.store.reader import Call

_STYLES: Final = {
    "success": "green",
    "pending": "cyan",
    "denied": "red",
    "failure": "yellow",
    "error": "bold red",
    "unfinished": "bold yellow",
}
_ID_SHOWN: Final = 26


def print_line(out: Console, call: Call) -> None:
    """``2026-11-22 10:00:00Z  success  get_order  for alice by agent-runner  01J…``, below it what a shadow says."""
    facts = call.facts
    if call.control is not None:
        _print_control(out, facts, call.call_id)
    elif call.intent or call.outcome:
        _print_ending(out, facts, call.call_id)
    for record in call.shadows:
        _print_shadow(out, record.facts, call.call_id)


def _print_ending(out: Console, facts: Mapping[str, Any], audit_id: str) -> None:
    from rich.text import Text

    outcome = str(facts.get("outcome", "unfinished"))
    parts = [
        (utc(_int(facts.get("time_ms")) / 1000), "dim"),
        (f"{outcome:<10}", _STYLES.get(outcome, "")),
        (f"{plain(_at(facts, 'tool', 'name') or _at(facts, 'grant', 'type')):<16}", "bold"),
        (chain_line(_parties(facts)) or "nobody identified", ""),
        (_approved(facts), "green"),
        (_why(facts), "yellow"),
        (audit_id[:_ID_SHOWN], "dim"),
    ]
    out.print(Text("  ").join(Text(text, style) for text, style in parts if text), soft_wrap=True)


def print_call(out: Console, call: Call) -> None:
    """Everything recorded of one call, in the order it happened."""
    print_line(out, call)
    facts = call.facts
    for group in (
        "client",
        "grant",
        "principal",
        "actor",
        "tool",
        "arguments",
        "decision",
        "approval",
        "exchange_decision",
        "requested",
        "exchange",
        "downstream",
        "result_decision",
        "result",
        "error",
        "control",
    ):
        section = facts.get(group)
        if isinstance(section, Mapping) and section:
            out.print(group, style="bold cyan")
            print_rows(out, ((name, _shown(name, value)) for name, value in section.items()), label_width=14)
    timings = facts.get("durations")
    if isinstance(timings, Mapping):
        out.print("durations", style="bold cyan")
        print_rows(
            out,
            ((name.removesuffix("_us"), f"{_int(value) / 1000:.2f} ms") for name, value in timings.items()),
            label_width=14,
        )
    out.print("chain", style="bold cyan")
    for name, record in (("intent", call.intent), ("outcome", call.outcome), ("control", call.control)):
        if record is not None:
            print_rows(out, [(name, f"#{record.seq}  {record.hash}")], label_width=14)


def print_report(out: Console, report: Report) -> None:
    """The verdict, and what unfinished calls mean."""
    verdict, style = ("verified", "bold green") if report.sound else ("BROKEN", "bold red")
    out.print(
        f"{verdict}: {report.records} records, {report.intents} intents, {report.outcomes} outcomes, {report.controls} controls, "
        f"{report.issuances} issuances, {report.shadows} shadows",
        style=style,
    )
    if report.broken is not None:
        print_rows(out, [("record", f"#{report.broken.seq}"), ("problem", report.broken.problem)])
    if report.unfinished:
        print_rows(out, [("unfinished", " ".join(report.unfinished))])
        print_rows(
            out, [("", "the process ended in between, or they run now: the API may or may not have been called")]
        )
    print_rows(out, [("head", report.head)])


def _print_control(out: Console, facts: Mapping[str, Any], audit_id: str) -> None:
    """``2026-11-22 10:00:00Z  control  revoke  subject alice by operator:root  01J…``"""
    from rich.text import Text

    by = _at(facts, "control", "by") or _at(facts, "control", "approver")
    user = _at(facts, "control", "user")
    parts = [
        (utc(_int(facts.get("time_ms")) / 1000), "dim"),
        (f"{'control':<10}", "magenta"),
        (f"{plain(_at(facts, 'control', 'action')):<16}", "bold"),
        (plain(" ".join(filter(None, (_at(facts, "control", name) for name in ("kind", "value", "tool"))))), ""),
        (plain(f"by {by}" if by else f"for {user}" if user else ""), ""),
        (audit_id[:_ID_SHOWN], "dim"),
    ]
    out.print(Text("  ").join(Text(text, style) for text, style in parts if text), soft_wrap=True)


def _print_shadow(out: Console, facts: Mapping[str, Any], audit_id: str) -> None:
    """``2026-11-22 10:00:00Z  shadow  tool_call  allowed, would be denied  too_late  01J…``"""
    from rich.text import Text

    live, shadow = (_side(facts, side) for side in ("live", "shadow"))
    was, would = ("allowed" if side.get("allow") is True else "denied" for side in (live, shadow))
    codes = shadow.get("reasons") or shadow.get("obligations") or []
    parts = [
        (utc(_int(facts.get("time_ms")) / 1000), "dim"),
        (f"{'shadow':<10}", "magenta"),
        (f"{plain(facts.get('phase', '')):<16}", "bold"),
        (f"{was}, would be {would}" if was != would else f"{was} on other terms", ""),
        (plain(", ".join(map(str, codes))), "yellow"),
        (audit_id[:_ID_SHOWN], "dim"),
    ]
    out.print(Text("  ").join(Text(text, style) for text, style in parts if text), soft_wrap=True)


def _side(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    side = facts.get(name)
    return side if isinstance(side, Mapping) else {}


def _parties(facts: Mapping[str, Any]) -> list[str]:
    """The subject, then those who acted, the current one last; the inbound chain where nothing was exchanged."""
    subject = _at(facts, "principal", "subject")
    if not subject:
        return []
    chain = (facts.get("exchange") or facts.get("principal") or {}).get("chain") or []
    names = [str(link.get("sub", "?")) for link in reversed(chain) if isinstance(link, Mapping)]
    actor = _at(facts, "actor", "sub")
    return [subject, *names] if facts.get("exchange") or not actor or actor in names else [subject, *names, actor]


def _approved(facts: Mapping[str, Any]) -> str:
    """Whose approval the call rests on."""
    approval = _side(facts, "approval")
    return f"approved by {plain(_at(approval, 'approver', 'sub'))}" if approval.get("state") == "used" else ""


def _why(facts: Mapping[str, Any]) -> str:
    """The error's code; for a denial the policy's own reasons."""
    if (code := _at(facts, "error", "code")) == "access_denied":
        decisions = (_side(facts, name) for name in ("exchange_decision", "decision"))
        denial = next((decision for decision in decisions if decision.get("allow") is False), {})
        reasons = denial.get("reasons") or []
        return (
            plain(", ".join(str(reason.get("code", "")) for reason in reasons if isinstance(reason, Mapping))) or code
        )
    return plain(code)


def _at(facts: Mapping[str, Any], group: str, name: str) -> str:
    section = facts.get(group)
    value = section.get(name, "") if isinstance(section, Mapping) else ""
    return value if isinstance(value, str) else compact(value)


def _int(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _shown(name: str, value: Any) -> str:
    if name == "input" and isinstance(value, Mapping):  # long: `--json` has it
        return f"{plain(value.get('mode', ''))}, {len(str(value.get('text', '')))} characters"
    return value if isinstance(value, str) else "" if value in (None, [], {}) else compact(value)
