"""What a token says, for people: decoded, never verified (rule, and its rendering).

Reading is lenient so that a broken token can be looked at; every rule of the strict reader that it breaks is
listed beside it. Nothing here crashes on garbage.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from remit.cli.render import chain_line, compact, parties, plain, print_rows, relative_time, utc
from remit.credential import UnverifiedToken
from remit.errors import TokenInvalid
from remit.oauth import TYP_ACCESS_TOKEN
from remit.tokens import checks
from remit.tokens.parse import parse
from remit.tokens.verified import RFC9068_CLAIMS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.tree import Tree

WARNING: Final = "NOT VERIFIED: no signature was checked, and anyone can write what stands here"
_TIMES: Final = ("iat", "nbf", "exp", "auth_time")
_MAX_CHARACTERS: Final = 64 * 1024
_MAX_DEPTH: Final = 32


@dataclass(frozen=True, slots=True)
class Problem:
    """A rule of the strict reader that the token breaks: the error's code and message."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a text says if it is a JWT. ``header`` or ``claims`` is ``None`` where it cannot be read at all.

    ``chain`` has the subject first and the current actor last. ``now``: seconds since the epoch, for the times.
    ``fingerprint`` names the token without showing it.
    """

    fingerprint: str
    header: Mapping[str, Any] | None = field(repr=False)
    claims: Mapping[str, Any] | None = field(repr=False)
    problems: tuple[Problem, ...]
    now: float

    @property
    def chain(self) -> tuple[str, ...]:
        """Who it is about and who acts, in the order they took over; empty where no claim can be read."""
        return parties(self.claims) if self.claims else ()

    @property
    def times(self) -> dict[str, tuple[str, str]]:
        """Each time claim as a date and as seen from now: ``exp`` → (``2027-01-15 08:02:00Z``, ``in 2 min``)."""
        seconds = {name: (self.claims or {}).get(name) for name in _TIMES}
        return {name: (utc(when), self._seen(name, when)) for name, when in seconds.items() if _is_time(when)}

    def _seen(self, name: str, when: float) -> str:
        relative = relative_time(when, self.now)
        return f"expired {relative}" if name == "exp" and when <= self.now else relative

    def to_json(self) -> dict[str, Any]:
        """The same as one JSON document. It says ``verified: false``, always."""
        return {
            "verified": False,
            "fingerprint": self.fingerprint,
            "header": self.header,
            "claims": self.claims,
            "chain": list(self.chain),
            "times": {name: {"utc": date, "relative": seen} for name, (date, seen) in self.times.items()},
            "problems": [{"code": problem.code, "message": problem.message} for problem in self.problems],
        }


def inspect(text: str, now: float) -> Inspection:
    """Decode a token without verifying it. Never raises, whatever ``text`` is.

    The problems are those that a reader of RFC 9068 access tokens would find without knowing issuer, audience or
    keys. An ID token, for one, is of the wrong type there and may be sound all the same.
    """
    text = text.strip()
    if text[:7].lower() == "bearer ":
        text = text[7:].lstrip()
    token = UnverifiedToken(text)
    header, _, rest = text.partition(".")
    claims, _, _ = rest.partition(".")
    return Inspection(
        fingerprint=f"sha256:{token.digest.hex()[:12]}",
        header=_decoded(header),
        claims=_decoded(claims),
        problems=tuple(_problems(token, now)),
        now=now,
    )


def _decoded(part: str) -> dict[str, Any] | None:
    """A JSON object in base64url, read as leniently as will do for showing it."""
    if len(part) > _MAX_CHARACTERS:
        return None
    try:
        data = base64.b64decode(part.rstrip("=") + "=" * (-len(part.rstrip("=")) % 4), altchars=b"-_")
        value = _DECODER.decode(data.decode("utf-8", "replace"))
    except (ValueError, binascii.Error, RecursionError):
        return None
    if not isinstance(value, dict) or _is_deep(value):
        return None
    # Half a surrogate pair is no text that can be printed or written as JSON; it becomes "?".
    writable: dict[str, Any] = _DECODER.decode(
        json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    )
    return writable


def _integer(text: str) -> int | str:
    """Beyond 64 bits not every JSON reader keeps an integer; shown as text then."""
    return int(text) if len(text) < 19 else text


_DECODER: Final = json.JSONDecoder(parse_int=_integer, parse_constant=str)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _problems(token: UnverifiedToken, now: float) -> Iterator[Problem]:
    try:
        parsed = parse(token)
    except TokenInvalid as error:
        yield Problem(error.code, error.message)
        return
    claims = parsed.claims
    rules: list[Callable[[], object]] = [
        lambda: checks.check_typ(parsed.header, {TYP_ACCESS_TOKEN}),
        lambda: checks.check_required(claims, RFC9068_CLAIMS),
        lambda: checks.read_audience(claims),
        lambda: checks.read_scope(claims),
        lambda: checks.read_chain(claims),
        *(lambda name=name: checks.read_name(claims, name) for name in ("iss", "sub", "client_id", "jti", "txn")),
        lambda: checks.check_expiry(checks.read_seconds(claims, "exp") or now + 1, now=now, leeway=0),
        lambda: checks.check_started("nbf", checks.read_seconds(claims, "nbf"), now=now, leeway=0),
        lambda: checks.check_started("iat", checks.read_seconds(claims, "iat"), now=now, leeway=0),
    ]
    for rule in rules:
        try:
            rule()
        except TokenInvalid as error:
            yield Problem(error.code, error.message)


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(utc(value))


# ── rendering ────────────────────────────────────────────────────────────────────────────


def print_inspection(out: Console, inspection: Inspection) -> None:
    """The inspection for people: the warning, who acts for whom, header and claims, problems."""
    from rich.text import Text

    out.print(Text(WARNING, style="bold yellow"))
    if inspection.claims:
        out.print(_tree(inspection))
    _print_object(out, "header", inspection.header, {})
    _print_object(out, "claims", inspection.claims, inspection.times)
    if inspection.problems:
        out.print(Text("problems", style="bold red"))
        print_rows(out, [(problem.code, problem.message) for problem in inspection.problems], label_width=20)
    out.print(Text(f"token {inspection.fingerprint}", style="dim"))


def print_chain(out: Console, inspection: Inspection) -> None:
    """Only who acts for whom, until when, and what is wrong with it."""
    from rich.text import Text

    out.print(Text(WARNING, style="bold yellow"))
    if inspection.claims:
        out.print(Text(chain_line(inspection.chain, ascii_only=out.options.ascii_only), style="bold"))
        out.print(_tree(inspection))
    problems = [(problem.code, problem.message) for problem in inspection.problems]
    print_rows(out, problems or [("problems", "none that can be seen without the issuer's keys")], label_width=20)


def _tree(inspection: Inspection) -> Tree:
    """Who, on whose behalf, through whom, until when: the subject at the root, the current actor at the tip."""
    from rich.text import Text
    from rich.tree import Tree

    subject, *actors = inspection.chain
    root = tip = Tree(Text.assemble((plain(subject), "bold"), ("  on whose behalf", "dim")))
    for number, (actor, behalf) in enumerate(zip(actors, inspection.chain, strict=False), start=1):
        role = "acts" if number == len(actors) else "acted"
        tip = tip.add(Text.assemble((plain(actor), "bold"), (f"  {role} on behalf of {plain(behalf)}", "dim")))
    for line in _good_for(inspection):
        tip.add(Text(plain(line)))
    return root


def _good_for(inspection: Inspection) -> Iterator[str]:
    claims = inspection.claims or {}
    for label, name in (("audience", "aud"), ("scope", "scope"), ("client", "client_id")):
        if value := claims.get(name):
            yield f"{label} {_shown(value)}"
    if "exp" in inspection.times:
        yield f"until {', '.join(inspection.times['exp'])}"


def _print_object(
    out: Console, title: str, value: Mapping[str, Any] | None, times: Mapping[str, tuple[str, str]]
) -> None:
    from rich.text import Text

    out.print(Text(title if value is not None else f"{title}: cannot be read", style="bold cyan"))
    rows = (
        (name, "  ".join([_shown(member), f"({', '.join(times[name])})" if name in times else ""]).rstrip())
        for name, member in (value or {}).items()
    )
    print_rows(out, rows)


def _shown(value: object) -> str:
    """A string as it is where that is plain to see, anything else as JSON."""
    return value if isinstance(value, str) and value else compact(value)
