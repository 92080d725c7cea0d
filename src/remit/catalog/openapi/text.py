"""The text of one file → plain data, JSON or YAML, read as tolerantly as is safe (rule).

Every key is a text (``200``, ``on`` and a date too), of two equal keys the last counts, tags but ``!!str`` say nothing, and
scalars are those of the YAML 1.2 core schema. Merge keys (``<<``) are honoured, since descriptions use them.
Aliases count as often as they are used; nesting and the weight of all values are bounded.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any, Final

import orjson
import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from remit.catalog.document import scalar

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML built without libyaml: slower, otherwise the same
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

MAX_DEPTH: Final = 200
#: Of all values: one for each, and one for every 16 characters of a text.
MAX_WEIGHT: Final = 6_000_000

_MERGE: Final = "<<"


class TextInvalid(Exception):
    """The text cannot be read; ``position`` is line and column from 1, where it is known."""

    def __init__(self, reason: str, position: tuple[int, int] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


def parse_json(content: bytes) -> Any:
    """JSON of UTF-8. Raises ``TextInvalid``."""
    if content.count(b",") + content.count(b"[") + content.count(b"{") > MAX_WEIGHT:
        raise TextInvalid("it holds too many values")
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        strict = TextInvalid(f"this is not JSON: {error.msg}", (error.lineno, error.colno))
    try:  # half characters and numbers that no other parser takes: escapes that a real description may hold
        data = json.loads(content, parse_constant=_finite, parse_float=_finite)
        lenient = json.dumps(data, ensure_ascii=False)
        return orjson.loads(lenient.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise strict from None


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def parse_yaml(content: bytes) -> Any:
    """The first document of a YAML text. Raises ``TextInvalid``."""
    composer = _Composer()
    try:
        text = content.decode("utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")
        loader = _Loader(text)
        while not composer.is_complete and (event := loader.get_event()) is not None:
            composer.take(event)
    except UnicodeDecodeError as error:
        raise TextInvalid("it is not UTF-8", (content.count(b"\n", 0, error.start) + 1, 1)) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise TextInvalid(
            f"this is not YAML: {error.problem}", (mark.line + 1, mark.column + 1) if mark else None
        ) from None
    except yaml.YAMLError:
        raise TextInvalid("it holds a character that YAML does not allow") from None
    return composer.data


class _Composer:
    """Events in, data out; without recursion."""

    def __init__(self) -> None:
        self.data: Any = None
        self.is_complete = False
        self._open: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}  # name → value and its weight
        self._weight = 0

    def take(self, event: Event) -> None:
        """The next event."""
        kind = type(event)
        if kind is ScalarEvent:
            self._scalar(event)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            self._start(event)
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            self._end()
        elif kind is AliasEvent:
            self._alias(event)
        elif kind is DocumentEndEvent:
            self.is_complete = True

    def _weigh(self, weight: int, event: Any) -> None:
        self._weight += weight
        if self._weight > MAX_WEIGHT:
            raise TextInvalid("it holds too many values, aliases counted each time they are used", _position(event))

    def _scalar(self, event: Any) -> None:
        weight = 1 + len(event.value) // 16
        self._weigh(weight, event)
        frame = self._open[-1] if self._open else None
        if frame is not None and frame.wants_key:
            value = sys.intern(event.value)
            frame.is_merge = value == _MERGE and event.implicit[0]
        else:
            value = scalar(event.value) if event.implicit[0] or _is_tagged(event) else event.value
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, weight)
        self._place(value, event)

    def _start(self, event: Any) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise TextInvalid(f"it is nested deeper than {MAX_DEPTH} levels", _position(event))
        self._weigh(1, event)
        container: Any = {} if type(event) is MappingStartEvent else []
        self._open.append(_Frame(container, event, self._weight))

    def _end(self) -> None:
        frame = self._open.pop()
        if frame.event.anchor is not None:
            self._anchors[frame.event.anchor] = (frame.container, self._weight - frame.weight_before + 1)
        self._place(frame.container, frame.event)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise TextInvalid(f'"*{event.anchor[:60]}" names no anchor that is complete here', _position(event))
        value, weight = self._anchors[event.anchor]
        self._weigh(weight, event)
        self._place(value, event)

    def _place(self, value: Any, event: Any) -> None:
        if not self._open:
            self.data = value
            return
        frame = self._open[-1]
        if isinstance(frame.container, list):
            frame.container.append(value)
        elif frame.wants_key:
            if not isinstance(value, str):
                value = _key(value, event)
            frame.key, frame.wants_key = value, False
        else:
            frame.add(value)


class _Frame:
    """A mapping or list being filled."""

    __slots__ = ("container", "event", "is_merge", "key", "wants_key", "weight_before")

    def __init__(self, container: Any, event: Any, weight_before: int) -> None:
        self.container = container
        self.event = event
        self.weight_before = weight_before
        self.wants_key = isinstance(container, dict)
        self.key = ""
        self.is_merge = False

    def add(self, value: Any) -> None:
        """A member of the mapping. Merged members stand back behind the mapping's own."""
        if not self.is_merge:
            self.container[self.key] = value
        else:
            for source in value if isinstance(value, list) else [value]:
                for key, member in source.items() if isinstance(source, dict) else ():
                    self.container.setdefault(key, member)
        self.wants_key, self.is_merge = True, False


def _is_tagged(event: Any) -> bool:
    """Whether this is a plain scalar in spite of a tag, which says that it is no text."""
    return not event.style and event.tag not in {None, "!", "tag:yaml.org,2002:str"}


def _key(value: Any, event: Any) -> str:
    """The text of a key that an alias stands for."""
    if isinstance(value, dict | list):
        raise TextInvalid("a collection is no key", _position(event))
    return json.dumps(value)


def _position(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
