"""Rule: what policy hides of a result: along JSON pointers, and of classes along the paths that a tool's file names."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from remit.catalog.expression import RedactPath
from remit.policy.obligations import Redaction

MASK: Final = "[redacted]"
_DIGEST_DIGITS: Final = 16
#: Stands for what was removed until every pointer was followed: what is behind it in a list keeps its place.
_REMOVED: Final = object()


class Unredactable(Exception):
    """The result is a text, in which no pointer finds anything."""


#: Class of data → where it is in the results of a tool.
Places = Mapping[str, Sequence[RedactPath]]


def redacted(data: Any, redactions: Iterable[Redaction], key: bytes, places: Places = MappingProxyType({})) -> Any:
    """``data`` with what the redactions point at removed, masked or hashed; ``data`` itself stays as it was.

    A hash is an HMAC with ``key``, so equal values stay equal and nobody can try out values without the key. A
    pointer or path that finds nothing changes nothing. Raises ``Unredactable``.
    """
    redactions = tuple(redactions)
    if any(name in places for redaction in redactions for name in redaction.classes):
        data = copy.deepcopy(data)  # those paths are followed in place
    for redaction in redactions:
        if isinstance(data, str):
            raise Unredactable("the result is a text")
        for path in redaction.paths:
            data = _along(data, path, redaction.mode, key)
        for place in (place for name in redaction.classes for place in places.get(name, ())):
            place.redact(data, partial(_hidden, mode=redaction.mode, key=key))
    return _without_removed(data)


def _along(node: Any, path: tuple[str, ...], mode: str, key: bytes) -> Any:
    step, *rest = path
    match node:
        case dict():
            return dict(_members(node, step, tuple(rest), mode, key))
        case list():
            return list(_items(node, step, tuple(rest), mode, key))
        case _:
            return node


def _members(
    node: dict[str, Any], step: str, rest: tuple[str, ...], mode: str, key: bytes
) -> Iterable[tuple[str, Any]]:
    for name, value in node.items():
        if step not in ("*", name):
            yield name, value
        elif rest:
            yield name, _along(value, rest, mode, key)
        else:
            yield name, _hidden(value, mode, key)


def _items(node: list[Any], step: str, rest: tuple[str, ...], mode: str, key: bytes) -> Iterable[Any]:
    for index, value in enumerate(node):
        if step not in ("*", str(index)):
            yield value
        elif rest:
            yield _along(value, rest, mode, key)
        else:
            yield _hidden(value, mode, key)


def _hidden(value: Any, mode: str, key: bytes) -> Any:
    if mode == "remove" or value is _REMOVED:
        return _REMOVED
    if mode == "mask":
        return MASK
    text = json.dumps(_without_removed(value), sort_keys=True)
    return f"hmac:{hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:_DIGEST_DIGITS]}"


def _without_removed(node: Any) -> Any:
    match node:
        case dict():
            return {name: _without_removed(value) for name, value in node.items() if value is not _REMOVED}
        case list():
            return [_without_removed(value) for value in node if value is not _REMOVED]
        case _:
            return node
