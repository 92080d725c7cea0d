"""Words → the names of what is about them, best first (rule): Okapi BM25 over what a model is told of each tool.

Made once for a set of tools. Nothing is learned from what is asked, and the same question has the same answer.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

#: Of a question, no more is read.
MAX_QUERY: Final = 400
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
#: How often a word counts where it stands.
_IN_NAME: Final = 4
_IN_TITLE: Final = 2
#: Okapi BM25: how soon repetition stops to count, and how much a long text is held against what it is about.
_K: Final = 1.2
_B: Final = 0.5
#: Says nothing about what something is for.
_STOP: Final = frozenset(
    {"a", "all", "an", "and", "any", "are", "as", "at", "be", "by", "can", "for", "from", "i", "in", "is"}
    | {"it", "its", "me", "my", "of", "on", "or", "that", "the", "this", "to", "was", "were", "which", "with"}
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What can be found: by the words of its name above all, then of its title, then of all else that is said of it."""

    name: str
    title: str
    text: str


class Search:
    """Finds entries by words."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._lengths: dict[str, int] = {}
        self._counts: dict[str, dict[str, int]] = defaultdict(dict)
        for entry in entries:
            counts = Counter(_said_of(entry))
            self._lengths[entry.name] = counts.total()
            for word, count in counts.items():
                self._counts[word][entry.name] = count
        self._average = sum(self._lengths.values()) / max(len(self._lengths), 1)

    def find(self, query: str, among: AbstractSet[str]) -> list[str]:
        """Names of ``among``, best first, and by name where they are as good. Without a word in the query, all."""
        words = dict.fromkeys(_words(query[:MAX_QUERY]))
        if not words:
            return sorted(among)
        scores: dict[str, float] = defaultdict(float)
        for word in words:
            counts = self._counts.get(word, {})
            rarity = math.log(1 + (len(self._lengths) - len(counts) + 0.5) / (len(counts) + 0.5))
            for name, count in counts.items():
                scores[name] += rarity * count * (_K + 1) / (count + self._spread(name))
        return sorted(scores.keys() & among, key=lambda name: (-scores[name], name))

    def _spread(self, name: str) -> float:
        return _K * (1 - _B + _B * self._lengths[name] / self._average)


def _said_of(entry: Entry) -> Iterator[str]:
    """The words, each as often as it counts."""
    for _ in range(_IN_NAME):
        yield from _words(entry.name)
    for _ in range(_IN_TITLE):
        yield from _words(entry.title)
    yield from _words(entry.text)


def _words(text: str) -> Iterator[str]:
    """``listCustomers`` → ``list``, ``customer``; accents are dropped, and words that say nothing."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return (word for found in _WORD.findall(plain) if (word := _stem(found.lower())) not in _STOP)


def _stem(word: str) -> str:
    """Enough for one and many to meet: ``entries`` and ``entry``, ``addresses`` and ``address``."""
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
