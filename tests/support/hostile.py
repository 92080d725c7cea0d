"""Random input documents, to compare engines by: of a whole shape but full of odd values, and broken ones.

Every one depends on its ``random.Random`` alone. ``words`` are the policy's own, so that its rules have something to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Any, Final

from remit.catalog.tool import ToolAnnotations, ToolAuth
from remit.errors import PolicyFailed
from remit.policy.bundle import Bundle
from remit.policy.input import ApprovalState, Phase, Question, ResultFacts
from remit.policy.obligations import OF_A_ROUTE, OF_AN_EXCHANGE, SUPPORTED
from remit.principal import ActingParty, Actor, Assurance, DelegationChain, Principal

_NOW: Final = 1_800_000_000
_BIG: Final = 2**53 - 1
_QUOTED: Final = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_NAMED: Final = re.compile(r"input\.arguments\.(\w+)")

TEXTS: Final = (
    "", " ", "admin", "ADMIN", "true", "null", "0", "-1", "1e3", "0x10", "50000.0", "01", "*", "**", ".*", "[a-z", "(a+)+$",
    "a.b.c", "a:b", "user:alice", "/", "../..", "a/b/c", '"', "\\", "\\n", "\n", "\t", "\x7f", "%s", "%d%v", "{}", "{{x}}", "${x}",
    "Zoë", "Zoe\u0308", "ﬀ", "İ", "ß", "SS", "山", "😀", "\u200b", "\u2028", "\ufeff", "\ufffd", "\u0430",
    "10.0.0.1", "10.0.0.0/8", "::1", "1.2.3", "v1.2.3-rc.1", "2026-11-22T10:00:00Z", "09:00", "5m", "1Ki", "e30=", "[1,2]", "x" * 5000,
)  # fmt: skip
NUMBERS: Final = (
    0, 1, -1, 2, 3, 10, 59, 60, 100, 255, 50_000, 50_001, -50_000, _BIG, -_BIG, 2**31, 2**32, 2**52,
    0.0, -0.0, 0.1, 0.5, 1.0, 1.5, 2.5, -2.5, 0.30000000000000004, 49_999.999, 50_000.0, 1e-7, 1e15, 1e16, 1e21, 1.7e308, -1e300, 5e-324,
)  # fmt: skip


class Shape(Enum):
    """How far a document is from what policy is really asked."""

    WHOLE = "whole"  # could be asked: every member is there and of its kind
    TORN = "torn"  # members are missing
    GARBLED = "garbled"  # members are of another kind


@dataclass(frozen=True)
class Made:
    """An operation of any kind, out of thin air."""

    kind: str
    name: str
    method: str
    path: str
    upstream: str
    annotations: ToolAnnotations
    auth: ToolAuth
    tags: tuple[str, ...]
    facts: dict[str, Any]
    digest: str
    description_digest: str


def words(bundle: Bundle) -> list[str]:
    """Every short text of the policy's data and modules."""
    found = set(_texts(bundle.data))
    for source in bundle.modules.values():
        found.update(_QUOTED.findall(source), _NAMED.findall(source))
    return sorted(word for word in found if len(word) <= 40 and "\\" not in word)


class Hostile:
    """A source of documents, and of values as callers and tables may send them."""

    def __init__(self, random: Random, words: list[str]) -> None:
        self._random = random
        self._words = words or ["x"]

    def documents(self, count: int, bases: Sequence[Question]) -> Iterator[tuple[Shape, dict[str, Any]]]:
        """As many documents: out of thin air, near one of ``bases``, torn, and garbled, in turn."""
        made = 0
        while made < count:
            asked = self.question() if made % 4 == 0 else self._random.choice(bases)
            try:
                document = asked.document()
            except PolicyFailed:
                continue  # what no engine is ever asked
            if made % 4:
                self._change(document)
            if made % 4 == 2:
                self._tear(document)
            elif made % 4 == 3:
                self._garble(document)
            yield (Shape.WHOLE, Shape.WHOLE, Shape.TORN, Shape.GARBLED)[made % 4], document
            made += 1

    def question(self) -> Question:
        """A question as a door may ask it."""
        phase = self._random.choice(list(Phase))
        kind = self._random.choice(["tool", "tool", "route", "target"])
        supported = {"route": OF_A_ROUTE, "target": OF_AN_EXCHANGE}.get(kind, SUPPORTED)
        approval = ApprovalState(
            self._random.choice(["none", "pending", "approved", "denied"]), "a1", self.text(), "operator"
        )
        return Question(
            phase=phase,
            principal=self._principal(),
            acting=ActingParty(self._actor(), self._random.choice(list(Assurance)), self.text()),
            tool=self._tool(kind),
            now=float(self._random.choice([0, _NOW, _NOW + self._random.randrange(10**6), 4_000_000_000])),
            arguments={self.text(): self.value() for _ in range(self._random.randrange(6))},
            door=self._random.choice(["mcp", "stdio", "gateway", ""]),
            request_id=self.text(),
            client=self.text(),
            approval=approval,
            first_time=self._random.random() < 0.3,
            result=ResultFacts(200, 17, False, self.value()),
            supported=supported,
        )

    def text(self) -> str:
        """One of the policy's words, mostly as it is; else something odd."""
        word = self._random.choice(self._words)
        return self._random.choice(
            [
                word,
                word,
                word,
                word,
                word.upper(),
                f"{word} ",
                word[:-1],
                self._random.choice(TEXTS),
                self._random.choice(TEXTS),
            ]
        )

    def number(self) -> int | float:
        """A number that every engine reads alike."""
        return self._random.choice(
            [*NUMBERS, self._random.randrange(100_000), round(self._random.uniform(-1e5, 1e5), 3)]
        )

    def value(self, depth: int = 0) -> Any:
        """Any JSON."""
        kind = self._random.randrange(14 if depth < 3 else 9)
        if kind < 4:
            return self.text()
        if kind < 7:
            return self.number()
        if kind < 9:
            return self._random.choice([None, True, False])
        if kind < 11:
            return [self.value(depth + 1) for _ in range(self._random.randrange(5))]
        if kind < 13:
            return {self.text(): self.value(depth + 1) for _ in range(self._random.randrange(5))}
        return self._random.choice([_deep(55 - depth), [self.text()] * 2000, list(range(3000)), {}, []])

    def _change(self, document: dict[str, Any]) -> None:
        """Up to three members, anywhere, become others of their kind."""
        for _ in range(self._random.randrange(4)):
            place, key = self._somewhere(document)
            place[key] = self._alike(place[key])

    def _tear(self, document: dict[str, Any]) -> None:
        """One or two members, anywhere, are taken out."""
        for _ in range(self._random.randint(1, 2)):
            place, key = self._somewhere(document)
            del place[key]

    def _garble(self, document: dict[str, Any]) -> None:
        """One to three members, anywhere, become anything."""
        for _ in range(self._random.randint(1, 3)):
            place, key = self._somewhere(document)
            place[key] = self.value()

    def _somewhere(self, document: dict[str, Any]) -> tuple[Any, Any]:
        place: Any = document
        while True:
            key = self._random.choice(list(place) if isinstance(place, dict) else range(len(place)))
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or self._random.random() < 0.1:
                return place, key
            place = inner

    def _alike(self, value: Any) -> Any:
        if isinstance(value, bool):
            return not value
        if isinstance(value, str):
            return self.text()
        if isinstance(value, int):
            return self._random.choice([0, 1, 60, 600, self._random.randrange(100_000)])
        if isinstance(value, list):
            return [*value, self.text()] if all(isinstance(inner, str) for inner in value) else value[1:]
        return {**value, self.text(): self.value()} if isinstance(value, dict) else value

    def _some(self, most: int = 3) -> tuple[str, ...]:
        return tuple(self.text() for _ in range(self._random.randrange(most + 1)))

    def _actor(self) -> Actor:
        return Actor(self.text() or "a", self.text())

    def _principal(self) -> Principal:
        return Principal(
            subject=self.text(),
            issuer=self.text(),
            name=self.text(),
            client_id=self.text(),
            audience=self._some(),
            scopes=self._some(),
            groups=self._some(),
            roles=self._some(),
            acr=self.text(),
            amr=self._some(),
            auth_time=self._random.choice([0, _NOW - 60, _NOW - 10_000]),
            expires_at=_NOW + 900,
            chain=DelegationChain(tuple(self._actor() for _ in range(self._random.randrange(4)))),
        )

    def _tool(self, kind: str) -> Made:
        flags = [self._random.random() < 0.5 for _ in range(4)]
        return Made(
            kind=kind,
            name=self.text(),
            method=self._random.choice(["GET", "POST", "DELETE"]),
            path=self.text(),
            upstream=self.text(),
            annotations=ToolAnnotations(*flags),
            auth=ToolAuth(
                "token-exchange", self.text(), self.text(), self._some(), "optional", self._random.choice([0, 60, 300])
            ),
            tags=self._some(),
            facts={self._random.choice(["moneyField", "dataClass", self.text()]): self.value() for _ in range(2)},
            digest="0" * 64,
            description_digest=self._random.choice(["", "1" * 64]),
        )


def _deep(levels: int) -> Any:
    value: Any = "x"
    for level in range(levels):
        value = [value] if level % 2 else {"d": value}
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
