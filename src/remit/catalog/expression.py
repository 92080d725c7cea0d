"""JMESPath, compiled once (rule): ``select`` and the placeholders read with it, ``redact`` writes along a part of it.

jmespath has neither loops nor recursion, so an expression costs at most its size times the data's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jmespath
import jmespath.exceptions

REDACTED: Final = "[redacted]"


class ExpressionInvalid(ValueError):
    """Not a usable expression."""


class ExpressionFailed(ValueError):
    """The expression does not fit the data (a function was given the wrong type, say)."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A JMESPath expression. Raises ``ExpressionInvalid`` when it cannot be one."""

    text: str
    _compiled: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "_compiled", jmespath.compile(self.text))
        except (jmespath.exceptions.JMESPathError, RecursionError) as error:
            raise ExpressionInvalid(_reason(error)) from None

    def search(self, data: Any) -> Any:
        """What the expression gives for ``data`` (``None`` where it finds nothing). Raises ``ExpressionFailed``."""
        try:
            return self._compiled.search(data)
        except (jmespath.exceptions.JMESPathError, ArithmeticError, TypeError, ValueError) as error:
            # the message would show values of the data
            raise ExpressionFailed(type(error).__name__) from None


def _reason(error: Exception) -> str:
    first = next(iter(str(error).splitlines()), "nested too deeply")
    return first.removeprefix("Invalid jmespath expression: ").removesuffix(":")[:200]


@dataclass(frozen=True, slots=True)
class _Step:
    """One step down: ``field`` name, ``index`` n, every ``items`` or ``flatten`` of a list, all ``values`` of an object."""

    kind: str
    at: Any = None


#: A place that holds a value: a container and the key or index in it.
_Place = tuple[Any, Any]


@dataclass(frozen=True, slots=True)
class RedactPath:
    """Leads to values that are to be replaced: names, ``[n]``, ``[*]``, ``[]`` and ``*`` of JMESPath.

    A name also reaches into every item of a list, so that no list in between hides a value. Raises
    ``ExpressionInvalid`` for anything else, because a computed value has no place of its own.
    """

    text: str
    _steps: tuple[_Step, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        Expression(self.text)
        steps = tuple(_steps(jmespath.compile(self.text).parsed))
        if not steps:
            raise ExpressionInvalid("it leads nowhere")
        object.__setattr__(self, "_steps", steps)

    def redact(self, data: Any, hide: Callable[[Any], Any] = lambda _value: REDACTED) -> None:
        """Put ``hide`` of every value the path leads to into its place. Where it leads nowhere nothing happens."""
        root = [data]
        places: list[_Place] = [(root, 0)]
        for step in self._steps:
            places = [below for place in places for below in _below(place, step)]
        for container, key in places:
            container[key] = hide(container[key])


@dataclass(frozen=True, slots=True)
class ListPath:
    """Leads to one list of a document: names with dots between, or ``@`` for the document itself.

    Raises ``ExpressionInvalid`` for anything else, because other items could not be put into its place.
    """

    text: str
    _names: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        Expression(self.text)
        steps = _steps(jmespath.compile(self.text).parsed)
        if any(step.kind != "field" for step in steps):
            raise ExpressionInvalid("only names can be followed here")
        object.__setattr__(self, "_names", tuple(step.at for step in steps))

    def find(self, data: Any) -> list[Any] | None:
        """The list; an empty one where there is nothing or null; ``None`` where there is something else."""
        for name in self._names:
            if not isinstance(data, dict):
                return None
            data = data.get(name)
            if data is None:
                return []
        return data if isinstance(data, list) else None

    def replaced(self, data: Any, items: list[Any]) -> Any:
        """A copy of ``data`` with ``items`` in the list's place; what lies beside the way is shared."""
        return _put(data, self._names, items)


def _put(data: Any, names: tuple[str, ...], items: list[Any]) -> Any:
    if not names:
        return items
    inner = data if isinstance(data, dict) else {}
    return {**inner, names[0]: _put(inner.get(names[0]), names[1:], items)}


def _below(place: _Place, step: _Step) -> list[_Place]:
    """The places one step further down."""
    container, key = place
    value = container[key]
    if isinstance(value, list):
        return _below_list(value, step)
    if step.kind == "flatten":  # what is no list stays as it is
        return [place]
    if not isinstance(value, dict):
        return []
    if step.kind == "values":
        return [(value, key) for key in value]
    return [(value, step.at)] if step.kind == "field" and step.at in value else []


def _below_list(value: list[Any], step: _Step) -> list[_Place]:
    every: list[_Place] = [(value, index) for index in range(len(value))]
    match step.kind:
        case "items":
            return every
        case "index":
            return [(value, step.at)] if -len(value) <= step.at < len(value) else []
        case "flatten" | "field":  # lists in the list count as its items, however deep
            return [below for place in every for below in _below(place, step)]
    return []


def _steps(node: Mapping[str, Any]) -> list[_Step]:
    children = node["children"]
    match node["type"]:
        case "identity" | "current":
            return []
        case "field":
            return [_Step("field", node["value"])]
        case "index":
            return [_Step("index", node["value"])]
        case "subexpression" | "index_expression":
            return [step for child in children for step in _steps(child)]
        case "flatten":
            left = _steps(children[0])
            return left if left and left[-1].kind == "flatten" else [*left, _Step("flatten")]
        case "projection" | "value_projection":
            return _projected(node["type"], *children)
    raise ExpressionInvalid("only names, [n], [*], [] and * can be followed here")


def _projected(kind: str, left: Mapping[str, Any], right: Mapping[str, Any]) -> list[_Step]:
    """A projection is its left side, every element of it, then its right side."""
    if left["type"] == "flatten":  # which has the step already
        return [*_steps(left), *_steps(right)]
    return [*_steps(left), _Step("values" if kind == "value_projection" else "items"), *_steps(right)]
