"""JSON as I-JSON has it (RFC 7493), for documents that decide about trust (rule).

``json.loads`` alone keeps the last of two members of the same name, takes ``NaN`` and lone surrogates, and
makes integers of any size: two readers of one token could then see two different tokens.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

#: Objects and arrays inside each other; the ``act`` chain has its own, lower limit.
MAX_DEPTH: Final = 16
_MAX_INTEGER_DIGITS: Final = 20  # no longer text is converted at all
_INTEGERS: Final = range(-(2**63), 2**64)  # what every writer of JSON here can write


class NotStrict(ValueError):
    """The text is not JSON, or not JSON that has one meaning. The message names the rule, never the content."""


def loads(data: bytes) -> Any:
    """UTF-8 JSON → values. Raises ``NotStrict``, and nothing else whatever ``data`` holds."""
    try:
        value = _DECODER.decode(data.decode("utf-8"))
    except NotStrict:
        raise
    except (ValueError, RecursionError) as error:
        raise NotStrict("not JSON") from error
    _check_values(value)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotStrict("a member appears twice")
    return members


def _integer(text: str) -> int:
    if len(text) > _MAX_INTEGER_DIGITS:
        raise NotStrict("an integer is too large")
    value = int(text)
    if value not in _INTEGERS:
        raise NotStrict("an integer is too large")
    return value


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotStrict("a number is too large")
    return number


def _constant(_: str) -> NoReturn:
    raise NotStrict("NaN or Infinity")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_members,
    parse_int=_integer,
    parse_float=_number,
    parse_constant=_constant,
    strict=True,
)


def _check_values(value: Any) -> None:
    """Refuse what lies too deep and every string that is not Unicode text. Not recursive: depth is what it checks."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise NotStrict(f"nested deeper than {MAX_DEPTH} levels")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for name in value:
            _check_text(name)
        return list(value.values())
    elif isinstance(value, list):
        return value
    return []


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotStrict("a string holds half of a surrogate pair") from error
