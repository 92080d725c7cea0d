"""YAML text → plain data that remembers where each value stands (rule).

A narrow YAML: one document, text keys, each once, no tags but ``!!str``, and the scalars of the YAML 1.2 core
schema in JSON's spelling, so that ``yes``, ``on``, ``012`` and dates stay the text they look like. Aliases
count as often as they are used; nesting, size and number of values are bounded. Built from the parser's
events without recursion: a quarter of the time that composing and constructing takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from remit.catalog.problem import Path

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML built without libyaml: slower, otherwise the same
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

MAX_DEPTH: Final = 48
MAX_VALUES: Final = 200_000
_MAX_FAULTS: Final = 20

_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,63})")
_FLOAT: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,63})(\.[0-9]{1,64})?([eE][-+]?[0-9]{1,3})?")
_WORDS: Final[dict[str, Any]] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_STARTS: Final = frozenset("-+0123456789~ntfNTF")

#: line and column, from 1
Position = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something the text itself does wrong."""

    position: Position
    message: str
    hint: str = ""


class DocumentInvalid(Exception):
    """The text cannot be read; ``faults`` says where and why."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(faults[0].message)
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data (``dict``, ``list``, ``str``, ``int``, ``float``, ``bool``, ``None``) and its positions."""

    data: Any
    root: Position
    marks: dict[int, dict[str | int, tuple[Position, Position]]] = field(repr=False)

    def locate(self, path: Path, *, key: bool = False) -> Position:
        """Where the value at ``path`` stands (or its key), as near as the path can be followed.

        Steps that the text does not have are passed over: a missing key, the name of a union's member.
        """
        here, at = self.root, self.data
        for step in path:
            marks = self.marks.get(id(at), {})
            if step in marks:
                of_key, of_value = marks[step]
                here, at = (of_key if key else of_value), at[step]
        return here


def read_document(text: str) -> Document:
    """Read one YAML document. Raises ``DocumentInvalid``; nothing else, whatever the text."""
    composer = _Composer()
    try:
        for event in _events(text):
            composer.take(event)
    except _Stop:
        pass
    except yaml.YAMLError as error:
        composer.faults.append(_syntax_fault(error, text))
    if composer.faults:
        raise DocumentInvalid(composer.faults)
    return Document(composer.data, composer.root, composer.marks)


def _events(text: str) -> Iterator[Event]:
    return yaml.parse(text, Loader=_Loader)  # events build nothing


def _syntax_fault(error: yaml.YAMLError, text: str) -> Fault:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        said = " ".join(filter(None, (error.context, error.problem)))
        return Fault(_position(mark) if mark else (1, 1), f"this is not YAML: {said}", "mend the syntax here")
    before = text.encode("utf-8", "replace")[: getattr(error, "position", 0)].decode("utf-8", "ignore")
    position = (before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
    return Fault(position, "a character that YAML does not allow", "take out control characters")


def _position(mark: Any) -> Position:
    return mark.line + 1, mark.column + 1


def scalar(text: str) -> Any:
    """The value of a plain scalar: YAML 1.2 core schema, numbers in JSON's spelling, everything else text."""
    if text and text[0] not in _STARTS:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if number - number == 0 else text
    return text


class _Stop(Exception):
    """Reading any further would make no sense or would cost too much."""


@dataclass(slots=True)
class _Frame:
    """A mapping or list being filled."""

    container: dict[str, Any] | list[Any]
    position: Position
    anchor: str | None
    count_before: int
    marks: dict[str | int, tuple[Position, Position]] = field(default_factory=dict)
    key: str | None = None
    key_position: Position = (1, 1)


class _Composer:
    """Events in, data and positions out."""

    def __init__(self) -> None:
        self.data: Any = None
        self.root: Position = (1, 1)
        self.marks: dict[int, dict[str | int, tuple[Position, Position]]] = {}
        self.faults: list[Fault] = []
        self._frames: list[_Frame] = []
        self._texts: dict[str, str] = {}  # each text once, however often it stands there
        self._anchors: dict[str, tuple[Any, int]] = {}  # name → value and how many values it is
        self._count = 0
        self._documents = 0

    def take(self, event: Event) -> None:
        """The next event."""
        taker = self._TAKERS.get(type(event))
        if taker is not None:
            taker(self, event, _position(event.start_mark))

    def _document(self, _: DocumentStartEvent, position: Position) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop(position, "a second document", "one file is one document: split it")

    def _fault(self, position: Position, message: str, hint: str = "") -> None:
        self.faults.append(Fault(position, message, hint))
        if len(self.faults) >= _MAX_FAULTS:
            raise _Stop

    def _stop(self, position: Position, message: str, hint: str = "") -> NoReturn:
        self._fault(position, message, hint)
        raise _Stop

    def _add_to_count(self, values: int, position: Position) -> None:
        self._count += values
        if self._count > MAX_VALUES:
            self._stop(position, f"more than {MAX_VALUES} values, aliases counted each time", "split the file")

    def _scalar(self, event: ScalarEvent, position: Position) -> None:
        value: Any = self._texts.setdefault(event.value, event.value)
        if event.tag not in {None, "!", "tag:yaml.org,2002:str"}:
            self._fault(position, f'the tag "{event.tag[:60]}" is not used here', "leave the tag out")
        elif event.tag is None and event.implicit[0]:
            value = scalar(value)
        self._add_to_count(1, position)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._place(value, position)

    def _start(self, event: MappingStartEvent | SequenceStartEvent, position: Position) -> None:
        if event.tag is not None:
            self._fault(position, f'the tag "{event.tag[:60]}" is not used here', "leave the tag out")
        if len(self._frames) >= MAX_DEPTH:
            self._stop(position, f"nested deeper than {MAX_DEPTH} levels")
        self._add_to_count(1, position)
        container: dict[str, Any] | list[Any] = {} if isinstance(event, MappingStartEvent) else []
        self._frames.append(_Frame(container, position, event.anchor, self._count))

    def _end(self, _: Event, __: Position) -> None:
        frame = self._frames.pop()
        self.marks[id(frame.container)] = frame.marks
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.container, self._count - frame.count_before + 1)
        self._place(frame.container, frame.position)

    def _alias(self, event: AliasEvent, position: Position) -> None:
        name = event.anchor or ""
        if name not in self._anchors:
            self._stop(position, f'"*{name[:60]}" names no anchor that is complete here')
        value, count = self._anchors[name]
        self._add_to_count(count, position)
        self._place(value, position)

    def _place(self, value: Any, position: Position) -> None:
        if not self._frames:
            self.data, self.root = value, position
            return
        frame = self._frames[-1]
        if isinstance(frame.container, list):
            frame.marks[len(frame.container)] = (position, position)
            frame.container.append(value)
        elif frame.key is None:
            frame.key, frame.key_position = self._key(value, frame, position), position
        else:
            frame.marks[frame.key] = (frame.key_position, position)
            frame.container[frame.key] = value
            frame.key = None

    def _key(self, value: Any, frame: _Frame, position: Position) -> str:
        if not isinstance(value, str):
            collection = isinstance(value, dict | list)
            shown = "a collection" if collection else json.dumps(value)
            self._fault(
                position, f"{shown} is no text, and keys are", "" if collection else f'write "{shown}" in quotes'
            )
            return str(value)[:60]
        if value in frame.container:
            first = frame.marks[value][0][0]
            self._fault(position, f'the key "{value[:60]}" is there already, in line {first}', "keep one of the two")
        return value

    # Not bound to a composer: in a ring of references it would stay in memory, with every position of its text.
    _TAKERS: ClassVar[dict[type[Event], Callable[[_Composer, Any, Position], None]]] = {
        ScalarEvent: _scalar,
        MappingStartEvent: _start,
        SequenceStartEvent: _start,
        MappingEndEvent: _end,
        SequenceEndEvent: _end,
        AliasEvent: _alias,
        DocumentStartEvent: _document,
    }
