"""Rule: the names and numbers that a policy speaks of, and which of them look like roles, scopes and the like.

What a name is, is guessed from where it stands: in the data from the member it stands in (``roles: {lead: …}``,
``scopes: [a]``), in a module from the words on its line. A wrong guess does no harm, because whatever is made of
these names is put to policy.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from remit.policy.bundle import Bundle

ROLE: Final = "role"
GROUP: Final = "group"
SCOPE: Final = "scope"
AGENT: Final = "agent"

_MARKS: Final[Mapping[str, tuple[str, ...]]] = {
    ROLE: ("role",),
    GROUP: ("group",),
    SCOPE: ("scope",),
    AGENT: ("agent", "actor", "client", "runner", "chain"),
}
_TEXT: Final = re.compile(r'"([^"\\]{1,100})"|`([^`]{1,100})`')
_NUMBER: Final = re.compile(r"(?<![\w.])\d{1,15}(?:\.\d{1,6})?(?![\w.])")
_MAX_TEXT: Final = 100
_MAX_NAMES: Final = 50_000
_MAX_NUMBERS: Final = 100
_MAX_NODES: Final = 500_000
#: Modules that come with the product: what they say is how tables are read, not what is in them.
_SHIPPED: Final = "remit/"

#: What a name may be, the name or number, in order of appearance.
_Word = tuple[Iterable[str], str | float]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Each name and number once, the policy's own text first, then its data from the top down.

    ``of_kind``: the names that look like roles, groups, scopes and agents. ``names``: all of them.
    """

    of_kind: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()

    @classmethod
    def of(cls, bundle: Bundle, known: Mapping[str, Iterable[str]] | None = None) -> Vocabulary:
        """Of its modules and data. ``known``: further names by their kind."""
        kinds: dict[str, dict[str, None]] = {kind: {} for kind in _MARKS}
        names: dict[str, None] = {}
        numbers: dict[float, None] = {}
        for found, word in _words(bundle, known or {}):
            if not isinstance(word, str):
                numbers.setdefault(word)
            elif len(names) < _MAX_NAMES:
                names.setdefault(word)
                for kind in found:
                    kinds[kind].setdefault(word)
        of_kind = {kind: tuple(each) for kind, each in kinds.items()}
        return cls(of_kind, tuple(names), tuple(numbers)[:_MAX_NUMBERS])

    def others(self, kind: str) -> tuple[str, ...]:
        """The names that do not look like one of ``kind``."""
        alike = set(self.of_kind.get(kind, ()))
        return tuple(name for name in self.names if name not in alike)


def _words(bundle: Bundle, known: Mapping[str, Iterable[str]]) -> Iterator[_Word]:
    for kind, names in known.items():
        yield from (((kind,), name) for name in names)
    for file, text in bundle.modules.items():
        if not file.startswith(_SHIPPED):
            yield from _of_text(text)
    yield from _of_data(bundle.data)


def _of_text(text: str) -> Iterator[_Word]:
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            continue
        kinds = _kinds(line)
        yield from ((kinds, plain or raw) for plain, raw in _TEXT.findall(line))
        yield from (((), _number(number)) for number in _NUMBER.findall(_TEXT.sub("", line)))


def _of_data(data: Any) -> Iterator[_Word]:
    waiting: deque[tuple[Any, tuple[str, ...]]] = deque([(data, ())])
    for _ in range(_MAX_NODES):
        if not waiting:
            return
        value, kinds = waiting.popleft()
        match value:
            case dict():
                yield from ((kinds, key) for key in value if 0 < len(key) <= _MAX_TEXT)
                waiting.extend((member, _kinds(key)) for key, member in value.items())
            case list():
                waiting.extend((item, kinds) for item in value)
            case str() if 0 < len(value) <= _MAX_TEXT:
                yield kinds, value
            case int() | float() if not isinstance(value, bool):
                yield (), value


def _kinds(words: str) -> tuple[str, ...]:
    """What names beside these words may be."""
    lowered = words.lower()
    return tuple(kind for kind, marks in _MARKS.items() if any(mark in lowered for mark in marks))


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)
