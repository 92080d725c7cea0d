"""Rule: arguments that are too large or too deep are refused before anything walks them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from remit.errors import ArgumentsInvalid

#: No more levels of objects and arrays than this; the schema check and canonical JSON recurse.
MAX_DEPTH: Final = 32
#: No more than this many values, plus characters of names and texts: about bytes of JSON.
MAX_WEIGHT: Final = 1 << 20


def check_bounds(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments beyond ``MAX_DEPTH`` or ``MAX_WEIGHT``. Raises ``ArgumentsInvalid``.

    Nothing else is checked: what they must be is the tool's input schema's business.
    """
    level: list[Any] = [arguments]
    weight = 0
    for _ in range(MAX_DEPTH):
        weight += sum(map(_own_weight, level))
        if weight > MAX_WEIGHT:
            raise ArgumentsInvalid(f"the arguments are larger than {MAX_WEIGHT} characters")
        level = [child for value in level for child in _children(value)]
        if not level:
            return
    if any(isinstance(value, Mapping | list) for value in level):
        raise ArgumentsInvalid(f"the arguments are nested deeper than {MAX_DEPTH} levels")


def _children(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []


def _own_weight(value: Any) -> int:
    if isinstance(value, str):
        return len(value) + 1
    return 1 + sum(map(len, value)) if isinstance(value, Mapping) else 1
