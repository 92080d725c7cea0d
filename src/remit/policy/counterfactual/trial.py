"""Noun: a question that was tried, what came of it, and what became of it after a change."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from remit.policy.counterfactual.changes import Change, Made
from remit.policy.input import Question
from remit.policy.vocabulary import Vocabulary

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a call can be made. ``conditions``: what somebody has to do first, in words.

    Of a call that cannot be made, ``step`` says how far it came and ``codes`` why no further.
    """

    allowed: bool
    conditions: tuple[str, ...] = ()
    step: int = 0
    codes: frozenset[str] = frozenset()

    @property
    def is_free(self) -> bool:
        """Whether it can be made just so."""
        return self.allowed and not self.conditions

    def is_nearer(self, other: Verdict) -> bool:
        """Whether less is in the way than by ``other``, and nothing else."""
        return self.allowed or (self.step == other.step and self.codes < other.codes)

    def is_past(self, other: Verdict) -> bool:
        """Whether what was in the way by ``other`` no longer is, but something else, which that may have hidden."""
        if self.allowed or self.step != other.step:
            return self.step > other.step
        return bool(self.codes) and not self.codes & other.codes


#: What a verdict has to be for a change to be of use.
Does = Callable[[Verdict], bool]
#: A search yields questions, is sent their verdicts in order, and returns what it found.
Search = Generator[list[Question], list[Verdict], T]


@dataclass(frozen=True, slots=True)
class Case:
    """What is looked into. ``schema`` is that of the tool's arguments; ``fits`` says whether some are valid by it."""

    question: Question
    verdict: Verdict
    vocabulary: Vocabulary
    schema: Mapping[str, Any]
    fits: Callable[[Mapping[str, Any]], bool]

    def after(self, made: Made) -> Case:
        """The same with a change made to it."""
        return replace(self, question=made(self.question))

    def with_each(self, made: Iterable[Made]) -> list[Question]:
        """The question after each."""
        return [each(self.question) for each in made]


@dataclass(frozen=True, slots=True)
class Option:
    """A change, and the verdict after it. Options of one ``group`` differ by ``name`` alone and can be told together."""

    change: Change
    verdict: Verdict
    group: str = ""
    name: str = ""
