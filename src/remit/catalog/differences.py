"""How two values of JSON differ, in words (rule). For people who review: bounded, one line each."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

_MAX_VALUE: Final = 120
_MAX_LINES: Final = 20
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+|\n+")


class Words(NamedTuple):
    """What is said of a member that only one of the two has, in front of its value."""

    gone: str = "gone, was"
    new: str = "new,"


CHANGED: Final = Words()
EXPECTED: Final = Words("missing, expected", "not expected:")


def differences(before: Any, after: Any, at: str = "", *, limit: int = _MAX_LINES, words: Words = CHANGED) -> list[str]:
    """What differs: ``at.member: before → after``. At most ``limit`` lines, and one that says so where there are more."""
    lines = list(islice(_differences(before, after, at, words), limit + 1))
    return lines if len(lines) <= limit else [*lines[:limit], "… and more"]


def text_differences(before: str, after: str) -> list[str]:
    """The sentences that went (``- …``) and came (``+ …``)."""
    old, new = _SENTENCE.split(before.strip()), _SENTENCE.split(after.strip())
    return [line for line in difflib.ndiff(old, new) if line.startswith(("- ", "+ "))]


def shown_value(value: Any) -> str:
    """A value on one line, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}…"


def same(one: Any, other: Any) -> bool:
    """Whether two values of JSON are the same: ``true`` is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _differences(before: Any, after: Any, at: str, words: Words) -> Iterator[str]:
    if same(before, after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _of_objects(before, after, at, words)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _differences(old, new, f"{at}[{index}]", words)
    else:
        yield f"{at or 'it'}: {shown_value(before)} → {shown_value(after)}"


def _of_objects(before: dict[str, Any], after: dict[str, Any], at: str, words: Words) -> Iterator[str]:
    for key in sorted(before.keys() | after.keys()):
        place = f"{at}.{key}" if at else key
        if key not in after:
            yield f"{place}: {words.gone} {shown_value(before[key])}"
        elif key not in before:
            yield f"{place}: {words.new} {shown_value(after[key])}"
        else:
            yield from _differences(before[key], after[key], place, words)
