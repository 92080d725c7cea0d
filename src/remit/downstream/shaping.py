"""Select, redact, cap (rule)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from remit.catalog.expression import ExpressionFailed
from remit.catalog.plan import ResponsePlan
from remit.downstream.wire.text import encode_json

#: What shaping an answer raises that does not have the shape its tool expects.
UNSHAPABLE: Final = (RecursionError, ExpressionFailed, TypeError, ValueError)


class TooLong(ValueError):
    """The result is beyond its bounds, and there is no item at whose end it could be cut."""


class Shaped(NamedTuple):
    """A result's data and text. ``truncated``: something had to go; ``wrapped``: it was no object, and stands in one."""

    data: Any
    text: str
    truncated: bool
    wrapped: bool = False


_CUT: Final = "\n[truncated]"
_MAX_CUTS: Final = 16


def selected(plan: ResponsePlan, data: Any) -> Any:
    """Redact what came, select, and redact again: a value hides neither before nor behind the selection.

    ``data`` is changed. Raises ``ExpressionFailed``.
    """
    redact(plan, data)
    if plan.select is None:
        return data
    data = plan.select.search(data)
    redact(plan, data)
    return data


def redact(plan: ResponsePlan, data: Any) -> None:
    """Replace what the plan's paths lead to, in place."""
    for path in plan.redact:
        path.redact(data)


def capped(plan: ResponsePlan, data: Any) -> Shaped:
    """``data`` within the plan's bounds. Raises ``TooLong``."""
    shorter = _with_fewer_items(data, plan.max_items) if plan.max_items else data
    text, wrapped = text_of(shorter), isinstance(data, list)
    content = text.encode()
    if len(content) <= plan.max_bytes:
        cut = shorter is not data
        return Shaped(shorter, text, cut, wrapped and cut)
    if isinstance(data, dict | list):
        document = _cut(shorter if isinstance(shorter, dict) else {"items": shorter}, plan.max_bytes)
        return Shaped(document, encode_json(document), truncated=True, wrapped=wrapped)
    if isinstance(data, str):
        text = content[: plan.max_bytes - len(_CUT)].decode("utf-8", "ignore") + _CUT
        return Shaped(text, text, truncated=True)
    raise TooLong(f"more than {plan.max_bytes} bytes")


def text_of(data: Any) -> str:
    """Compact JSON, or a text as it is."""
    return data if isinstance(data, str) else encode_json(data)


def _with_fewer_items(data: Any, most: int) -> Any:
    """``data`` itself where no list is longer; a copy of it, marked as cut, where one is."""
    if isinstance(data, list):
        return data if len(data) <= most else {"items": data[:most], "truncated": True}
    long = [(container, key) for container, key in _lists(data) if len(container[key]) > most]
    if not long:
        return data
    for container, key in long:
        container[key] = container[key][:most]
    return {**data, "truncated": True}


def _cut(document: dict[str, Any], limit: int) -> dict[str, Any]:
    """Take items off the end of the longest list until all fits; lists inside other lists stay whole."""
    document = {**document, "truncated": True}
    for _ in range(_MAX_CUTS):
        excess = _size(document) - limit
        if excess <= 0:
            return document
        places = [(container, key) for container, key in _lists(document) if container[key]]
        if not places:
            break
        container, key = max(places, key=lambda place: _size(place[0][place[1]]))
        container[key] = _shortened(container[key], excess)
    raise TooLong(f"more than {limit} bytes, and no list to cut")


def _lists(document: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """The lists that can be reached through objects alone."""
    if not isinstance(document, dict):
        return
    for key, value in document.items():
        if isinstance(value, list):
            yield document, key
        else:
            yield from _lists(value)


def _shortened(items: list[Any], excess: int) -> list[Any]:
    kept = len(items)
    while kept and excess > 0:
        kept -= 1
        excess -= _size(items[kept]) + 1
    return items[:kept]


def _size(data: Any) -> int:
    return len(encode_json(data).encode())
