"""The story of one call, as `remit call --explain` tells it. A step is a plain JSON object (``print_story``)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from remit.cli.render import chain_line, compact, duration, name_of, parties, plain, print_rows

if TYPE_CHECKING:
    from rich.console import Console

_SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"})
_MAX_LINES: Final = 40

Step = Mapping[str, Any]
Rows = list[tuple[str, str]]
#: One step, ready to print: a headline, its style, and labelled rows.
Told = tuple[str, str, Rows]


def print_story(out: Console, steps: Sequence[Step]) -> None:
    """What happened to one call, step by step. Members that are absent or empty are left out.

    ``identify``  subject, name, issuer, client_id, scopes, groups, roles, actor, assurance, evidence
    ``decide``    allow, rule, reasons (texts, or objects with ``message``), obligations, revision, duration_us
    ``exchange``  request (``TokenExchangeRequest.describe()``), answer (the delegated token's claims)
    ``call``      method, url, headers (credentials are masked here again), body
    ``result``    status, data or text, truncated, audit_id; or error (``remit.cli.render.error_document``)

    Any other step is printed as labels and values.
    """
    from rich.text import Text

    if names := _story_parties(steps):
        out.print(Text(chain_line(names, ascii_only=out.options.ascii_only), style="bold"))
    for number, step in enumerate(steps, start=1):
        kind = str(step.get("step", "step"))
        headline, style, rows = _TELLERS.get(kind, _anything)(step)
        title = Text.assemble((f"{number} {plain(kind):<8}", "bold cyan"), "  ", (plain(headline), style))
        title.rstrip()
        out.print(title)
        print_rows(out, rows)


def masked_headers(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers with every credential replaced by stars; an authentication scheme stays readable."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return {name: _masked(value) if name.lower() in _SECRET_HEADERS else value for name, value in pairs}


def _masked(value: str) -> str:
    scheme, blank, _ = value.partition(" ")
    return f"{scheme} ***" if blank and scheme.isalpha() else "***"


def _story_parties(steps: Sequence[Step]) -> tuple[str, ...]:
    """From the delegated token where one was had, else from who was identified."""
    by_kind = {step.get("step"): step for step in steps}
    if claims := _object(by_kind.get("exchange", {}).get("answer")):
        return parties(claims)
    identified = by_kind.get("identify", {})
    return tuple(_party(identified[member]) for member in ("subject", "actor") if identified.get(member))


# ── the steps ────────────────────────────────────────────────────────────────────────────


def _identify(step: Step) -> Told:
    how = ", ".join(str(step[member]) for member in ("assurance", "evidence") if step.get(member))
    actor = _party(step.get("actor"))
    rows = [
        ("name", _text(step.get("name"))),
        ("issuer", _text(step.get("issuer"))),
        ("client", _text(step.get("client_id"))),
        ("scopes", _words(step.get("scopes"))),
        ("groups", _words(step.get("groups"))),
        ("roles", _words(step.get("roles"))),
        ("actor", f"{actor} ({how})" if how else actor),
    ]
    return name_of(step.get("subject")), "bold", rows


def _decide(step: Step) -> Told:
    took = step.get("duration_us")
    rows = [
        ("rule", _text(step.get("rule"))),
        *(("because", _reason(reason)) for reason in step.get("reasons") or ()),
        *(("obligation", compact(obligation)) for obligation in step.get("obligations") or ()),
        ("policy", _text(step.get("revision"))),
        ("took", f"{took / 1000:.1f} ms" if isinstance(took, int | float) else ""),
    ]
    return ("permit", "bold green", rows) if step.get("allow") is True else ("deny", "bold red", rows)


def _exchange(step: Step) -> Told:
    request = _object(step.get("request"))
    target = _text(request.get("audience") or request.get("resource"))
    lifetime = request.get("max_lifetime") or request.get("requested_expires_in")
    asked = (_words(request.get("scopes") or request.get("scope")), f"at most {lifetime} s" if lifetime else "")
    rows = [
        ("asked for", ", ".join(text for text in asked if text)),
        *((name.removesuffix("_token"), _text(value)) for name, value in request.items() if name not in _ASKED),
    ]
    return f"a token for {target}" if target else "a token", "bold", [*rows, *_claims(_object(step.get("answer")))]


#: Told in the headline and "asked for", or the same in every exchange.
_ASKED: Final = frozenset(
    {"audience", "scope", "scopes", "max_lifetime", "requested_expires_in", "grant_type"}
    | {"subject_token_type", "actor_token_type", "requested_token_type"}
)


def _claims(claims: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The claims of the delegated token: who and for what first, the rest below."""
    first = [name for name in ("sub", "act", "aud", "scope") if name in claims]
    exp, iat = claims.get("exp"), claims.get("iat")
    yield from ((name, _text(claims[name])) for name in first)
    if isinstance(exp, int) and isinstance(iat, int):
        yield "lives", duration(exp - iat)
    yield from ((name, _text(value)) for name, value in claims.items() if name not in {*first, "exp", "iat"})


def _call(step: Step) -> Told:
    headers = masked_headers(step.get("headers") or {})
    rows = [("headers", "\n".join(f"{name}: {value}" for name, value in headers.items()))]
    return (
        f"{_text(step.get('method'))} {_text(step.get('url'))}",
        "bold",
        [*rows, ("body", _document(step.get("body")))],
    )


def _result(step: Step) -> Told:
    if error := dict(_object(step.get("error"))):
        headline = f"{error.pop('code', 'error')}: {error.pop('message', '')}"
        return headline, "bold red", [(name.replace("_", " "), _text(value)) for name, value in error.items()]
    rows = [
        ("data", _document(step.get("data", step.get("text")))),
        ("note", "the answer was longer and has been cut" if step.get("truncated") else ""),
        ("audit id", _text(step.get("audit_id"))),
    ]
    return _text(step.get("status")) or "ok", "bold green", rows


def _anything(step: Step) -> Told:
    return "", "bold", [(name, _text(value)) for name, value in step.items() if name != "step"]


_TELLERS: Final[Mapping[str, Callable[[Step], Told]]] = {
    "identify": _identify,
    "decide": _decide,
    "exchange": _exchange,
    "call": _call,
    "result": _result,
}


# ── values ───────────────────────────────────────────────────────────────────────────────


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    """A string as it is, anything else as JSON; nothing for nothing."""
    return value if isinstance(value, str) else "" if value is None else compact(value)


def _words(value: Any) -> str:
    return value if isinstance(value, str) else " ".join(str(word) for word in value or ())


def _party(value: Any) -> str:
    return name_of(value.get("sub") if isinstance(value, Mapping) else value)


def _reason(value: Any) -> str:
    return _text(value.get("message") or value.get("code")) if isinstance(value, Mapping) else _text(value)


def _document(value: Any) -> str:
    """JSON on several lines, a text as it is; at most 40 lines of either."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str)
    lines = text.splitlines()
    if len(lines) > _MAX_LINES:
        lines[_MAX_LINES:] = [f"({len(lines) - _MAX_LINES} more lines)"]
    return "\n".join(lines)
