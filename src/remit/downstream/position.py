"""Where a page begins, how the agent is told, and how an answer says it of the next one (rule).

A position is a *value* of one argument and never an address: of a link only that one parameter is read, so that no
answer can lead a token elsewhere, and no agent can set what its tool does not let it set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from remit.catalog.expression import ExpressionFailed
from remit.catalog.plan import PagingPlan
from remit.errors import RequestUnusable, ResponseUnusable

_MAX_VALUE: Final = 4096
_MAX_FIELDS: Final = 100
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
#: A page of which the agent has the first items already: ``+20:`` and where the page begins.
_WITHIN: Final = re.compile(r"\+([0-9]{1,9}):(.*)", re.DOTALL)
#: Links of a header (RFC 8288 §3), each with its parameters.
_LINK: Final = re.compile(r"<([^<>]*)>([^<]*)")
_REL: Final = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s\";,]+))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Position:
    """A page begins at ``value``, which is ``None`` for the first; the agent has ``skip`` of its items already."""

    value: str | int | None = None
    skip: int = 0


FIRST: Final = Position()


def position_in(plan: PagingPlan, arguments: Mapping[str, Any]) -> Position:
    """Where the agent wants to begin. Raises ``RequestUnusable`` for what was never a ``next_cursor``."""
    value, skip = arguments.get(plan.argument), 0
    if isinstance(value, str) and plan.as_text and (match := _WITHIN.fullmatch(value)):
        skip, value = int(match[1]), match[2]
    if value is None or value == "":
        return Position(None, skip)
    if plan.kind in {"page", "offset"}:
        if not _NUMBER.fullmatch(str(value)):
            raise RequestUnusable(f'"{plan.argument}" is no next_cursor of this tool')
        value = int(value)
    return Position(value, skip)


def arguments_at(plan: PagingPlan, arguments: Mapping[str, Any], position: Position) -> dict[str, Any]:
    """The arguments that ask for the page at ``position``."""
    filled = {name: value for name, value in arguments.items() if name != plan.argument}
    if position.value is not None:
        filled[plan.argument] = position.value
    if plan.size_argument and filled.get(plan.size_argument) is None:
        filled[plan.size_argument] = plan.size
    return filled


def told(plan: PagingPlan, position: Position) -> str | int:
    """The ``next_cursor`` that says it."""
    value = position.value
    if not plan.as_text:
        return int(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value or 0
    text = "" if value is None else str(value)
    return f"+{position.skip}:{text}" if position.skip or _WITHIN.fullmatch(text) else text


def within(plan: PagingPlan, position: Position, used: int) -> Position | None:
    """Behind the first ``used`` items of the page at ``position``; ``None`` where no argument can say that."""
    if used <= position.skip:
        return position
    if plan.kind == "offset":
        return Position(int(position.value or 0) + used)
    return Position(position.value, used) if plan.as_text else None


def following(
    plan: PagingPlan, position: Position, headers: Mapping[str, str], data: Any, count: int
) -> Position | None:
    """Where the page after the one at ``position`` begins, which has ``count`` items; ``None`` after the last.

    A next page that is no further on is none. Raises ``ResponseUnusable`` where the answer says it in a way that the
    plan does not foresee.
    """
    said = _said(plan, headers, data)
    if plan.kind in {"page", "offset"}:
        return _numbered(plan, position, said, count)
    if plan.kind == "link":
        said = _parameter(plan, said)
    if said is None or said is False or said == "":
        return None
    if isinstance(said, bool) or not isinstance(said, str | int) or len(str(said)) > _MAX_VALUE:
        raise _unforeseen(f"next is {type(said).__name__} of no use")
    return None if said == position.value else Position(said)


def _said(plan: PagingPlan, headers: Mapping[str, str], data: Any) -> Any:
    if plan.next is not None:
        try:
            return plan.next.search(data)
        except (ExpressionFailed, RecursionError):
            raise _unforeseen("next does not fit the answer") from None
    if plan.kind != "link":
        return None
    links = _LINK.finditer(headers.get("link", "")[: 4 * _MAX_VALUE])
    return next((link[1] for link in links if _is_next(link[2])), None)


def _is_next(parameters: str) -> bool:
    match = _REL.search(parameters)
    return match is not None and "next" in (match[1] or match[2] or "").lower().split()


def _numbered(plan: PagingPlan, position: Position, said: Any, count: int) -> Position | None:
    """Where pages have numbers, or items: what the answer says, or, where it only says that there is more, counted.

    Where nothing is to say it, a page with items has one behind it.
    """
    first = 0 if plan.kind == "offset" else plan.start
    here = int(first if position.value is None else position.value)
    if said is True or (plan.next is None and count):
        said = here + (count if plan.kind == "offset" else 1)
    elif said is None or said is False or said == "":
        return None
    elif not isinstance(said, str | int) or not _NUMBER.fullmatch(str(said)):
        raise _unforeseen("next is no number")
    return Position(int(said)) if int(said) > here else None


def _parameter(plan: PagingPlan, url: Any) -> str | None:
    """The one parameter of a link that says where it leads; the rest of it is not looked at."""
    if url is None or url == "":
        return None
    try:
        fields = parse_qsl(urlsplit(url).query, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except (ValueError, TypeError, AttributeError):
        raise _unforeseen("the link to the next page cannot be read") from None
    value: str | None = next((value for name, value in fields if name == plan.param), None)
    if value is None:
        raise _unforeseen(f"the link to the next page has no {plan.param}")
    return value


def _unforeseen(detail: str) -> ResponseUnusable:
    return ResponseUnusable(
        "the API does not say where its next page begins in the way this tool expects",
        detail=detail,
        hint="compare response.paging with what the API answers",
    )
