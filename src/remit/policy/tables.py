"""Rule: whether the tables of the standard policy (``remit/standard.rego``) say what can be understood.

The policy itself reads what is there and passes over what is not, so a misspelt member would be a restriction that
nobody notices. Checked here before a policy is used: members and their types, names that are nowhere defined, times
that are no times. Not checked: whether APIs, tools, agents and users of these names exist.
"""

from __future__ import annotations

import contextlib
import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from remit.policy.obligations import SUPPORTED, read_obligation
from remit.principal import Assurance

#: Keys of mappings and indices of lists, from the top of the tables.
Path = tuple[str | int, ...]

_MAX_PROBLEMS: Final = 20
_MAX_TEXT: Final = 256
_MAX_NAMES: Final = 100_000
_MAX_ITEMS: Final = 20_000
_MAX_NEEDS: Final = 200
#: Names that a misspelt one is compared with, which takes its time.
_MAX_COMPARED: Final = 500
_MAX_CHAIN: Final = 16

_EFFECTS: Final = ("read", "write")
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")
#: What every engine understands of a pattern in the same way: ``*``.
_PATTERN: Final = re.compile(r"[^\s?\[\]{}\\!]+")
_DEMANDS: Final = ("deny", "only", "scopes", "hours", "assurance", *SUPPORTED)


@dataclass(frozen=True, slots=True)
class TableProblem:
    """One thing wrong with the value at ``path``: what, and what to do about it."""

    path: Path
    message: str
    hint: str = ""


def check_tables(data: Mapping[str, Any]) -> list[TableProblem]:
    """What is wrong with the tables, at most the first 20 problems, in their order."""
    found = _Found(_names(data, "roles"), _names(data, "groups"))
    with contextlib.suppress(_Enough):
        _TABLES(data, (), found)
    return found.problems


class _Enough(Exception):
    """More problems would help nobody."""


@dataclass(slots=True)
class _Found:
    """The problems so far, and the names that may be referred to."""

    roles: Collection[str]
    groups: Collection[str]
    problems: list[TableProblem] = field(default_factory=list)

    def add(self, path: Path, message: str, hint: str = "") -> None:
        """Note one more. Raises ``_Enough`` when there are many."""
        self.problems.append(TableProblem(path, message, hint))
        if len(self.problems) == _MAX_PROBLEMS:
            raise _Enough


#: Looks at the value at a path and notes what is wrong with it.
_Check = Callable[[Any, Path, _Found], None]


# ── kinds of values ──────────────────────────────────────────────────────────────────────


def _members(known: Mapping[str, _Check], *, required: Iterable[str] = (), least: int = 0, empty: str = "") -> _Check:
    """A mapping of these members and no others; with fewer than ``least`` of them ``empty`` says why not."""

    def check(value: Any, path: Path, found: _Found) -> None:
        if not isinstance(value, Mapping):
            return found.add(path, f"{_label(path)} is not a mapping", f"its members are {', '.join(known)}")
        for name in [name for name in value if name not in known]:
            found.add((*path, name), f"unknown key {_shown(name)}", _nearest(name, known))
        for name in required:
            if name not in value:
                found.add(path, f"{_label(path)} has no {name}", f"add {name}")
        if len(value) < least:
            found.add(path, f"{_label(path)} is empty", empty)
        for name, item in value.items():
            if name in known:
                known[name](item, (*path, name), found)
        return None

    return check


def _table(check_item: _Check, *, most: int = _MAX_NAMES, longest: int = _MAX_TEXT) -> _Check:
    """A mapping from names to values."""

    def check(value: Any, path: Path, found: _Found) -> None:
        if not isinstance(value, Mapping):
            return found.add(path, f"{_label(path)} is not a mapping", "write NAME: before each entry")
        if len(value) > most:
            found.add(path, f"{_label(path)} has more than {most} entries")
        for name, item in value.items():
            if not isinstance(name, str) or not 0 < len(name) <= longest:
                found.add((*path, name), f"a name in {_label(path)} is empty or longer than {longest} characters")
            check_item(item, (*path, name), found)
        return None

    return check


def _items(check_item: _Check, *, least: int = 1) -> _Check:
    """A list."""

    def check(value: Any, path: Path, found: _Found) -> None:
        if not isinstance(value, list):
            return found.add(path, f"{_label(path)} is not a list", "write it in brackets: [one, two]")
        if not least <= len(value) <= _MAX_ITEMS:
            found.add(path, f"{_label(path)} is empty or longer than {_MAX_ITEMS}")
        for index, item in enumerate(value):
            check_item(item, (*path, index), found)
        return None

    return check


def _one_or_more(check_item: _Check) -> _Check:
    """A value, or a list of such."""
    several = _items(check_item)
    return lambda value, path, found: (several if isinstance(value, list) else check_item)(value, path, found)


def _or_nothing(check_value: _Check) -> _Check:
    """A value, or nothing after the name."""
    return lambda value, path, found: None if value is None else check_value(value, path, found)


def _one_of(words: Collection[str]) -> _Check:
    def check(value: Any, path: Path, found: _Found) -> None:
        if not isinstance(value, str) or value not in words:
            found.add(path, f"{_shown(value)} is none of {', '.join(words)}", _nearest(value, words, all_known=False))

    return check


def _anything(_value: Any, _path: Path, _found: _Found) -> None:
    """Whatever rules of one's own want to read."""


def _text(value: Any, path: Path, found: _Found) -> None:
    if not isinstance(value, str):
        found.add(path, f"{_label(path)} is not a text", "put the value in quotes")
    elif not 0 < len(value) <= _MAX_TEXT:
        found.add(path, f"{_label(path)} is empty or longer than {_MAX_TEXT} characters")


def _flag(value: Any, path: Path, found: _Found) -> None:
    if not isinstance(value, bool):
        found.add(path, f"{_label(path)} is neither true nor false", "write it without quotes")


def _yes(value: Any, path: Path, found: _Found) -> None:
    if value is not True:
        found.add(path, f"{_label(path)} is not true", "write true, or leave it out")


def _amount(value: Any, path: Path, found: _Found) -> None:
    if not _is_number(value) or value < 0:
        found.add(path, f"{_label(path)} is not a number from 0", "write it without quotes, in minor units")


def _depth(value: Any, path: Path, found: _Found) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MAX_CHAIN:
        found.add(path, f"{_label(path)} is not a whole number from 1 to {_MAX_CHAIN}")


def _offset(value: Any, path: Path, found: _Found) -> None:
    if not _is_number(value) or not -12 <= value <= 14 or value * 4 % 1:
        found.add(path, f"{_label(path)} is no difference to UTC", "write hours: 1, -5 or 5.5")


def _time(value: Any, path: Path, found: _Found) -> None:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        found.add(path, f"{_shown(value)} is no time", 'write hours and minutes: "08:30"')


def _pattern(value: Any, path: Path, found: _Found) -> None:
    _text(value, path, found)
    if isinstance(value, str) and not _PATTERN.fullmatch(value):
        found.add(path, f"{_shown(value)} is neither a name nor a pattern", "the only wildcard is *, as in get_*")
    elif "*" in str(value) and isinstance(path[-1], int):
        found.add(path, f"{_shown(value)} is a pattern in a list", "give each pattern a description of its own")


def _exact(value: Any, path: Path, found: _Found) -> None:
    _text(value, path, found)
    if isinstance(value, str) and "*" in value:
        found.add(path, f"{_shown(value)} is a pattern, and {_owner(path)} has none", "leave it out to match every one")


def _known(kind: str) -> _Check:
    """The name of a role or group that has a place in its table."""

    def check(value: Any, path: Path, found: _Found) -> None:
        _text(value, path, found)
        names: Collection[str] = getattr(found, kind)
        if isinstance(value, str) and value not in names:
            near = _nearest(value, names, all_known=False)
            found.add(
                path, f"{_shown(value)} is not in {kind}", near or f"add it to {kind}, as {{}} if it grants nothing"
            )

    return check


# ── the tables ───────────────────────────────────────────────────────────────────────────

_OPERATION: Final[Mapping[str, _Check]] = {
    "tool": _one_or_more(_pattern),
    "effects": _one_or_more(_one_of(_EFFECTS)),
    "destructive": _flag,
    "tags": _items(_exact),
    "data_classes": _one_or_more(_exact),
}
_DESCRIPTION: Final = _members(_OPERATION, least=1, empty="it would permit everything; write read, write instead")


def _permission(value: Any, path: Path, found: _Found) -> None:
    (_DESCRIPTION if isinstance(value, Mapping) else _one_of(_EFFECTS))(value, path, found)


_MAY: Final = _table(_items(_permission, least=0))
_PEOPLE: Final = _members(
    {"roles": _items(_known("roles")), "groups": _items(_known("groups")), "users": _items(_text)},
    least=1,
    empty="name some roles, groups or users",
)
_HOURS: Final = _members(
    {"days": _items(_one_of(_DAYS)), "from": _time, "to": _time, "utc_offset": _offset}, required=("from", "to")
)


def _hours(value: Any, path: Path, found: _Found) -> None:
    _HOURS(value, path, found)
    if isinstance(value, Mapping) and value.get("from", "") == value.get("to"):
        found.add(path, "from and to are the same time", 'for the whole day write "00:00" and "24:00"')


def _obligation(kind: str) -> _Check:
    """The properties of an obligation, as they will stand in the decision."""

    def check(value: Any, path: Path, found: _Found) -> None:
        if not isinstance(value, dict):
            return found.add(path, f"{_label(path)} is not a mapping", "see the obligations in docs/policy.md")
        try:
            read_obligation({"id": "", "type": kind, "properties": value})
        except ValueError as error:
            return found.add(path, str(error), "see the obligations in docs/policy.md")
        for index, approver in enumerate(value.get("approvers", ())):
            where, _, name = approver.partition(":")
            if where in ("role", "group"):
                _known(f"{where}s")(name, (*path, "approvers", index), found)
        return None

    return check


_NEED: Final = _members(
    {
        "match": _members({"server": _one_or_more(_exact), **_OPERATION}),
        "unless": _PEOPLE,
        "first_time": _yes,
        "over": _amount,
        "argument": _text,
        "deny": _text,
        "only": _PEOPLE,
        "scopes": _items(_text),
        "hours": _hours,
        "assurance": _one_of(tuple(Assurance)),
        **{kind: _obligation(kind) for kind in SUPPORTED},
    }
)


def _need(value: Any, path: Path, found: _Found) -> None:
    _NEED(value, path, found)
    if not isinstance(value, Mapping):
        return
    if not value.keys() & set(_DEMANDS):
        found.add(path, "it demands nothing", f"add one of {', '.join(_DEMANDS)}")
    if "argument" in value and "over" not in value:
        found.add(path, "it names an argument and no limit", "add over: LIMIT")
    if {"first_time", "redact_result"} <= value.keys():
        found.add(path, "a result cannot be redacted the first time only", "leave out first_time")


_PARTY: Final[Mapping[str, _Check]] = {"issuer": _text, "audiences": _items(_text, least=0)}
_TABLES: Final = _members(
    {
        "roles": _table(_MAY),
        "groups": _table(_MAY),
        "users": _table(_members({"issuer": _text, "may": _MAY}, required=["may"])),
        "agents": _table(
            _or_nothing(_members({**_PARTY, "may": _MAY, "for": _PEOPLE, "assurance": _one_of(tuple(Assurance))}))
        ),
        "services": _table(_or_nothing(_members(_PARTY))),
        "max_chain_depth": _depth,
        "needs": _table(_need, most=_MAX_NEEDS, longest=100),
        "own": _anything,
    }
)


# ── words ────────────────────────────────────────────────────────────────────────────────


def _names(data: Mapping[str, Any], table: str) -> Collection[str]:
    names = data.get(table)
    return names.keys() if isinstance(names, Mapping) else ()


def _label(path: Path) -> str:
    return _shown(path[-1]) if path and isinstance(path[-1], str) else "this" if path else "the tables"


def _owner(path: Path) -> str:
    return next(step for step in reversed(path) if isinstance(step, str))


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else type(value).__name__ if isinstance(value, dict | list) else str(value)
    return f'"{text[:60]}"'


def _nearest(word: Any, known: Iterable[str], *, all_known: bool = True) -> str:
    words = list(islice(known, _MAX_COMPARED))
    close = difflib.get_close_matches(str(word)[:_MAX_TEXT], words, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"known here: {', '.join(words)}" if all_known else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
