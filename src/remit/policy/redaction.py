"""Rule: what policy hides of a result, along JSON pointers."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from typing import Any, Final

from remit.policy.obligations import Redaction

MASK: Final = "[redacted]"
_DIGEST_DIGITS: Final = 16
#: Stands for a removed item of a list until every pointer was followed: those behind it keep their places.
_REMOVED: Final = object()


class Unredactable(Exception):
    """The result is a text, in which no pointer finds anything."""


def redacted(data: Any, redactions: Iterable[Redaction], key: bytes) -> Any:
    """``data`` with what the redactions point at removed, masked or hashed; ``data`` itself stays as it was.

    A hash is an HMAC with ``key``, so equal values stay equal and nobody can try out values without the key. A
    pointer that finds nothing changes nothing. Raises ``Unredactable``.
    """
    for redaction in redactions:
        if isinstance(data, str):
            raise Unredactable("the result is a text")
        for path in redaction.paths:
            data = _along(data, path, redaction.mode, key)
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
        elif mode != "remove":
            yield name, _hidden(value, mode, key)


def _items(node: list[Any], step: str, rest: tuple[str, ...], mode: str, key: bytes) -> Iterable[Any]:
    for index, value in enumerate(node):
        if step not in ("*", str(index)):
            yield value
        elif rest:
            yield _along(value, rest, mode, key)
        else:
            yield _REMOVED if mode == "remove" or value is _REMOVED else _hidden(value, mode, key)


def _hidden(value: Any, mode: str, key: bytes) -> str:
    if mode == "mask":
        return MASK
    text = json.dumps(_without_removed(value), sort_keys=True)
    return f"hmac:{hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:_DIGEST_DIGITS]}"


def _without_removed(node: Any) -> Any:
    match node:
        case dict():
            return {name: _without_removed(value) for name, value in node.items()}
        case list():
            return [_without_removed(value) for value in node if value is not _REMOVED]
        case _:
            return node
