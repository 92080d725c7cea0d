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
    return data


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
        elif mode != "remove":
            yield _hidden(value, mode, key)


def _hidden(value: Any, mode: str, key: bytes) -> str:
    if mode == "mask":
        return MASK
    digest = hmac.new(key, json.dumps(value, sort_keys=True).encode(), hashlib.sha256).hexdigest()
    return f"hmac:{digest[:_DIGEST_DIGITS]}"
