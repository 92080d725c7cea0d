"""The examples of a tool file, ready to be tried, and those that the model is shown (rule)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from remit.catalog.definition import ExampleBlock, ExpectBlock, MockBlock
from remit.catalog.problem import Flaws, Path

#: So many examples of arguments stand in the input schema, in so many bytes together.
MAX_SHOWN: Final = 2
MAX_SHOWN_BYTES: Final = 1024

_SPEAKER: Final = re.compile(r"\S{1,200}( via \S{1,200}){0,8}")


@dataclass(frozen=True, slots=True)
class Example:
    """One call with its expected course. ``where`` is ``file:line``.

    ``user`` speaks through ``agent``; ``through`` are those that handed the request on before it, the first one first.
    All three are empty where the file does not say.
    """

    name: str
    where: str
    arguments: dict[str, Any] = field(repr=False)
    answers: tuple[MockBlock, ...] = field(repr=False)
    expect: ExpectBlock = field(repr=False)
    user: str = ""
    agent: str = ""
    through: tuple[str, ...] = ()


def compile_examples(
    blocks: Sequence[ExampleBlock], path: Path, flaws: Flaws, where: Callable[[Path], str]
) -> tuple[Example, ...]:
    """The examples of the tool at ``path``. That the arguments fit is checked with the input schema."""
    return tuple(
        _example(block, (*path, "examples", index), flaws, where((*path, "examples", index)))
        for index, block in enumerate(blocks)
    )


def _example(block: ExampleBlock, path: Path, flaws: Flaws, where: str) -> Example:
    if block.as_ is not None and not _SPEAKER.fullmatch(block.as_):
        flaws.add((*path, "as"), "nobody can be told from this", "write alice, or alice via agent-runner")
    user, *agents = (block.as_ or "").split(" via ")
    answers = block.upstream if isinstance(block.upstream, list) else [block.upstream] if block.upstream else []
    return Example(
        name=block.name,
        where=where,
        arguments=block.args,
        answers=tuple(answers),
        expect=block.expect,
        user=user,
        agent=agents[-1] if agents else "",
        through=tuple(agents[:-1]),
    )


def shown_arguments(blocks: Sequence[ExampleBlock]) -> list[dict[str, Any]]:
    """The arguments of the first examples that end well, for the model; none that would make the list long."""
    chosen: list[dict[str, Any]] = []
    for block in blocks:
        ends_well = block.expect.error is None and block.expect.decision != "deny"
        if block.args and ends_well and block.args not in chosen and _size([*chosen, block.args]) <= MAX_SHOWN_BYTES:
            chosen.append(block.args)
        if len(chosen) == MAX_SHOWN:
            break
    return chosen


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
