"""How the command line looks: consoles, labelled rows, times, chains, errors.

Data goes to standard output, talk to standard error. Whatever came from outside is printed through ``plain``:
a claim or an API's answer can neither steer the terminal nor pass for markup.

A chain is drawn everywhere in the same direction, as the work was handed on: ``alice ← agent-runner ← orders-api``
reads "for alice acts agent-runner, for whom acts orders-api". The last one is the current actor (RFC 8693 §4.1).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from remit.errors import RemitError, SetupError

if TYPE_CHECKING:
    from rich.console import Console

    from remit.policy.decision import Decision

#: Labels end where the headlines of a story begin.
LABEL_WIDTH: Final = 10
_GAP: Final = "  "
_MAX_WIDTH: Final = 120
_MAX_ACTORS: Final = 16
#: ``dlg`` of a token whose ``sub`` is the current actor.
_WORKLOAD: Final = "workload"


def console(stream: Literal["data", "talk"] = "talk", *, color: bool = True) -> Console:
    """A Rich console on standard output (``data``) or standard error (``talk``); ``NO_COLOR`` is honoured.

    A character the stream cannot encode is escaped rather than an error. Markup, emoji codes and guessed
    highlighting are off.
    """
    from rich.console import Console

    file = sys.stdout if stream == "data" else sys.stderr
    if hasattr(file, "reconfigure"):
        file.reconfigure(errors="backslashreplace")
    return Console(file=file, no_color=None if color else True, markup=False, emoji=False, highlight=False)


# ── texts ────────────────────────────────────────────────────────────────────────────────


def plain(value: object) -> str:
    """``value`` as text a terminal only shows: control and invisible characters are escaped, line ends kept."""
    text = value if isinstance(value, str) else compact(value)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def compact(value: object) -> str:
    """JSON on one line; what JSON does not know as its text."""
    return json.dumps(value, ensure_ascii=False, default=str)


def duration(seconds: float) -> str:
    """A length of time in the largest unit that fits: ``45 s``, ``4 min``, ``2 h``, ``3 d``."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def relative_time(when: float, now: float) -> str:
    """``in 4 min``, ``2 h ago`` or ``now``; both in seconds since the epoch."""
    if abs(when - now) < 1:
        return "now"
    return f"in {duration(when - now)}" if when > now else f"{duration(now - when)} ago"


def utc(when: float) -> str:
    """Seconds since the epoch → ``2027-01-15 08:02:00Z``; empty where no calendar has that day."""
    try:
        return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return ""


# ── chains ───────────────────────────────────────────────────────────────────────────────


def parties(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Who it is about and then who acted, in the order they took over, the current actor last.

    Reads both profiles: in a ``workload`` token the current actor is ``sub``, and the innermost ``act`` is who it
    is about. Reads unverified claims too, so what is no name becomes ``?``: it draws, it does not check.
    """
    links: list[str] = []
    level = claims.get("act")
    while isinstance(level, Mapping) and len(links) < _MAX_ACTORS:
        links.append(name_of(level.get("sub")))
        level = level.get("act")
    subject = name_of(claims.get("sub"))
    oldest_first = tuple(reversed(links))
    return (*oldest_first, subject) if claims.get("dlg") == _WORKLOAD else (subject, *oldest_first)


def name_of(value: object) -> str:
    """A name as it stands, ``?`` where there is none."""
    return value if isinstance(value, str) and value else "?"


def chain_line(names: Iterable[str], *, ascii_only: bool = False) -> str:
    """The chain on one line, the subject first and the current actor last."""
    return (" <- " if ascii_only else " ← ").join(plain(name) for name in names)


# ── rows ─────────────────────────────────────────────────────────────────────────────────


def print_rows(out: Console, rows: Iterable[tuple[str, str]], *, label_width: int = LABEL_WIDTH) -> None:
    """Dim labels, right-aligned, each with its wrapped value beside it; rows without a value are left out."""
    from rich.text import Text

    for label, value in rows:
        if not value:
            continue
        head = plain(label).rjust(label_width)
        width = max(min(out.width, _MAX_WIDTH) - len(head) - len(_GAP), 20)
        lines = Text(plain(value)).wrap(out, width, overflow="fold")
        for number, line in enumerate(lines):
            line.rstrip()
            out.print(Text.assemble((head if number == 0 else " " * len(head), "dim"), _GAP, line))


# ── errors ───────────────────────────────────────────────────────────────────────────────


def decision_document(decision: Decision) -> dict[str, Any]:
    """A policy decision as JSON, with all its reasons: for whoever may read the policy."""
    return {
        "allow": decision.allow,
        "rule": decision.rule,
        "reasons": [
            {"code": each.code, "message": each.message, "audience": each.audience} for each in decision.reasons
        ],
        "obligations": [
            {"id": each.id, "type": each.type, "properties": dict(each.properties)} for each in decision.obligations
        ],
        **({"detail": decision.detail} if decision.detail else {}),
        "revision": decision.revision,
    }


def error_document(error: RemitError) -> dict[str, str]:
    """The error for programs, without its empty parts: code, message, where, detail, hint, audit_id."""
    parts = {
        "code": error.code,
        "message": error.message,
        "where": error.where if isinstance(error, SetupError) else "",
        "detail": error.detail,
        "hint": error.hint,
        "audit_id": error.call_id,
    }
    return {name: text for name, text in parts.items() if text}


def render_error(error: RemitError, talk: Console | None = None) -> None:
    """The error for people, on standard error: what, where, why, how to mend it."""
    from rich.text import Text

    talk = talk or console("talk")
    parts = error_document(error)
    if "where" in parts:
        parts["where"] = parts["where"].removeprefix(f"{Path.cwd().as_posix()}/")
    code = parts.pop("code")
    message = parts.pop("message", "")
    talk.print(Text.assemble(("error ", "bold red"), (plain(message), "bold"), (f" ({code})", "dim")))
    print_rows(talk, ((label.replace("_", " "), text) for label, text in parts.items()))
