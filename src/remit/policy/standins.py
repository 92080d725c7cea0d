"""Rule: what a call could have been of which the trail kept no values: values that stand in for them.

Policy tells numbers and texts apart by those that it speaks of, and a tool's schema says what they can have been. So
those are tried, with the neighbours of each number, and what nobody speaks of. What is decided alike for all of them
does not depend on the values, as far as that can be tried.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from remit.policy.vocabulary import Vocabulary

_MAX_TRIED: Final = 64
_MAX_SPOKEN: Final = 12
_MAX_LEAVES: Final = 64
#: As deep as ``remit.policy.inputs`` keeps types.
_MAX_DEPTH: Final = 3
_LIMITS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_SINGLE: Final[Mapping[str, tuple[Any, ...]]] = {
    "boolean": (False, True),
    "null": (None,),
    "array": ([], ["anything"], [0]),
    "object": ({}, {"anything": "anything"}),
}

#: Where a value stood, and those that stand in for it: the first two as different as can be.
_Leaf = tuple[tuple[str, ...], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Fill:
    """Values for what was not kept. ``path``: of a route's request; ``None`` of a tool's, which was kept."""

    arguments: Mapping[str, Any]
    path: str | None = None

    def into(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """``document`` with these values."""
        filled = {**document, "arguments": self.arguments}
        if self.path is not None:
            resource = document["resource"]
            filled["resource"] = {**resource, "properties": {**resource["properties"], "path": self.path}}
        return filled


def fills(document: Mapping[str, Any], schema: Mapping[str, Any], vocabulary: Vocabulary) -> list[Fill]:
    """What a redacted document can have held, at most some dozens; of the first two all is as different as can be.

    ``schema`` is that of the tool's arguments, empty where it is not known; ``vocabulary`` that of the policy that is
    asked. Raises ``ValueError`` for what is no redacted document.
    """
    leaves = list(_leaves(document["arguments"], schema, vocabulary))
    is_route = document["resource"]["type"] != "tool"
    values = [values for _, values in leaves] + ([_paths(vocabulary)] if is_route else [])
    made = []
    for choice in _choices(values):
        arguments: dict[str, Any] = {}
        for (path, _), value in zip(leaves, choice, strict=False):
            _put(arguments, path, value)
        made.append(Fill(arguments, choice[-1] if is_route else None))
    return made


def check_types(types: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` for what are no types of arguments as ``remit.policy.inputs`` keeps them."""
    for _ in _leaves(types, {}, Vocabulary()):
        pass


def _paths(vocabulary: Vocabulary) -> list[str]:
    spoken = [name for name in vocabulary.names if name.startswith("/")][:_MAX_SPOKEN]
    return ["/", "/anything", *spoken, *(f"{path.rstrip('/')}/anything" for path in spoken)]


def _choices(values: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """All combinations, where they are not too many; else each value beside the first of the others, and a mix."""
    first = tuple(each[0] for each in values)
    second = tuple(each[min(1, len(each) - 1)] for each in values)
    if math.prod(map(len, values)) <= _MAX_TRIED:
        return list(_each_once((first, second, *itertools.product(*values))))
    alone = ((*first[:place], value, *first[place + 1 :]) for place, some in enumerate(values) for value in some[1:])
    mixed = random.Random(0)  # noqa: S311  the same each time: a replay is to be repeatable
    mix = (tuple(mixed.choice(each) for each in values) for _ in range(_MAX_TRIED))
    return list(_each_once((first, second, *itertools.islice(alone, _MAX_TRIED), *mix)))


def _each_once(choices: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    seen: set[str] = set()
    for choice in choices:
        text = json.dumps(choice)
        if text not in seen:
            seen.add(text)
            yield choice


# ── what can have stood where ────────────────────────────────────────────────────────────


def _leaves(
    types: Any, schema: Mapping[str, Any], vocabulary: Vocabulary, path: tuple[str, ...] = ()
) -> Iterator[_Leaf]:
    if not isinstance(types, dict) or len(path) >= _MAX_DEPTH or len(types) > _MAX_LEAVES:
        raise ValueError("what was kept are no types of arguments")
    properties = _object(schema.get("properties"))
    for name, kind in types.items():
        known = _object(properties.get(name))
        if isinstance(kind, dict) and kind:
            yield from _leaves(kind, known, vocabulary, (*path, name))
        else:
            yield (*path, name), ({},) if kind == {} else _values(kind, known, vocabulary)


def _values(kind: Any, schema: Mapping[str, Any], vocabulary: Vocabulary) -> Sequence[Any]:
    options = schema.get("enum")
    if isinstance(options, list) and options:
        return options[:_MAX_TRIED]
    if "const" in schema:
        return (schema["const"],)
    match kind:
        case "number":
            return _numbers(schema, vocabulary)
        case "string":
            return _texts(schema, vocabulary)
        case str() if kind in _SINGLE:
            return _SINGLE[kind]
        case _:
            raise ValueError("what was kept are no types of arguments")


def _numbers(schema: Mapping[str, Any], vocabulary: Vocabulary) -> Sequence[float]:
    """The least and the greatest first. A number that is no whole one only where the schema may want such."""
    limits: list[float] = [limit for name in _LIMITS if isinstance(limit := schema.get(name), int | float)]
    spoken = vocabulary.numbers[:_MAX_SPOKEN]
    near = (number + step for number in (*limits, *spoken) for step in (0, -1, 1))
    possible = dict.fromkeys((-(10**12), 10**12, *limits, 0, 1, -1, *near, *(() if _is_whole(schema) else (0.5,))))
    within = sorted(number for number in possible if _is_within(number, schema))
    return list(dict.fromkeys((within[0], within[-1], *within))) if within else (0,)


def _is_whole(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "integer"


def _is_within(number: float, schema: Mapping[str, Any]) -> bool:
    least, most, above, below = (schema.get(name) for name in _LIMITS)
    return (
        (not isinstance(least, int | float) or number >= least)
        and (not isinstance(most, int | float) or number <= most)
        and (not isinstance(above, int | float) or number > above)
        and (not isinstance(below, int | float) or number < below)
        and (not _is_whole(schema) or float(number).is_integer())
    )


def _texts(schema: Mapping[str, Any], vocabulary: Vocabulary) -> Sequence[str]:
    examples = schema.get("examples")
    given = [text for text in (examples if isinstance(examples, list) else ()) if isinstance(text, str)][:2]
    own = () if schema.get("pattern") else ("",)
    return tuple(dict.fromkeys((*given, *own, "anything", *vocabulary.names[:_MAX_SPOKEN])))


def _put(arguments: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for step in path[:-1]:
        arguments = arguments.setdefault(step, {})
    arguments[path[-1]] = value


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
