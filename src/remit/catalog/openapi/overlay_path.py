"""The paths of an overlay, RFC 9535 JSONPath (rule): which places of a document they select, at a bounded cost.

What would cost more than a few walks through the document is refused: more than two ``..``, and in a filter ``..``, a search
from the root, and patterns that could be tried in many ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathError, JSONPathNode, JSONPathQuery
from jsonpath_rfc9535.filter_expressions import (
    ComparisonExpression,
    FilterExpression,
    FilterQuery,
    FunctionExtension,
    LogicalExpression,
    PrefixExpression,
    RootFilterQuery,
    StringLiteral,
)
from jsonpath_rfc9535.function_extensions import Match, Search
from jsonpath_rfc9535.segments import JSONPathRecursiveDescentSegment
from jsonpath_rfc9535.selectors import FilterSelector

from remit.catalog.openapi.text import MAX_DEPTH

MAX_LENGTH: Final = 1_000
MAX_DESCENTS: Final = 2
MAX_NODES: Final = 2_000_000
MAX_SELECTED: Final = 100_000
_MAX_MATCHED: Final = 4_096
_PATTERNS: Final = frozenset({"match", "search"})
_REPEATED_GROUP: Final = re.compile(r"\)[*+?{]")
_REPEATED: Final = re.compile(r"[*+]|,\}")
_MAX_REPEATED: Final = 2

#: Keys of mappings and indices of lists, from the root.
Location = tuple[str | int, ...]


class PathInvalid(ValueError):
    """The path cannot be used; the message says why."""


class _Match(Match):
    """Looks at the beginning of a long text only."""

    def __call__(self, string: object, pattern: object) -> bool:
        return isinstance(string, str) and super().__call__(string[:_MAX_MATCHED], pattern)


class _Search(Search):
    """Looks at the beginning of a long text only."""

    def __call__(self, string: object, pattern: object) -> bool:
        return isinstance(string, str) and super().__call__(string[:_MAX_MATCHED], pattern)


class _Environment(JSONPathEnvironment):
    max_recursion_depth = 2 * MAX_DEPTH

    def setup_function_extensions(self) -> None:
        """The functions of RFC 9535."""
        super().setup_function_extensions()
        self.function_extensions |= {"match": _Match(), "search": _Search()}


_ENVIRONMENT: Final = _Environment()


def selected(path: str, document: Any) -> dict[Location, Any]:
    """What ``path`` selects: location → value, each once, in the document's order. Raises ``PathInvalid``."""
    query = _compiled(path)
    root = JSONPathNode(value=document, location=(), parent=None, root=document)
    nodes: Iterable[JSONPathNode] = [root]
    for segment in query.segments:
        nodes = _counted(segment.resolve(nodes))
    try:
        found = {node.location: node.value for node in islice(nodes, MAX_NODES)}
    except (JSONPathError, RecursionError):
        raise PathInvalid("its path cannot be followed in this document") from None
    if len(found) > MAX_SELECTED:
        raise PathInvalid(f"its path selects more than {MAX_SELECTED} places")
    return found


def _counted(nodes: Iterable[JSONPathNode]) -> Iterator[JSONPathNode]:
    for count, node in enumerate(nodes):
        if count >= MAX_NODES:
            raise PathInvalid(f"its path goes through more than {MAX_NODES} places")
        yield node


def _compiled(path: str) -> JSONPathQuery:
    if len(path) > MAX_LENGTH:
        raise PathInvalid(f"its path is longer than {MAX_LENGTH} characters")
    try:
        query = _ENVIRONMENT.compile(path)
    except (JSONPathError, RecursionError, ValueError) as error:
        said = str(error).partition(", line")[0].partition("\n")[0]
        raise PathInvalid(f"its path is not JSONPath (RFC 9535): {said[:200]}") from None
    if sum(isinstance(segment, JSONPathRecursiveDescentSegment) for segment in query.segments) > MAX_DESCENTS:
        raise PathInvalid(f"its path has .. more than {MAX_DESCENTS} times")
    for expression in _filters(query):
        _check(expression)
    return query


def _filters(query: JSONPathQuery) -> Iterator[Any]:
    """Every expression in the filters of the query, and in the filters of those."""
    waiting: list[Any] = [query]
    while waiting:
        here = waiting.pop()
        match here:
            case JSONPathQuery():
                selectors = (each for segment in here.segments for each in segment.selectors)
                waiting += [each.expression for each in selectors if isinstance(each, FilterSelector)]
                continue
            case FilterExpression():
                waiting.append(here.expression)
            case PrefixExpression():
                waiting.append(here.right)
            case LogicalExpression() | ComparisonExpression():
                waiting += [here.left, here.right]
            case FunctionExtension():
                waiting += here.args
            case FilterQuery():
                waiting.append(here.query)
        yield here


def _check(expression: Any) -> None:
    if isinstance(expression, FilterQuery):
        if any(isinstance(each, JSONPathRecursiveDescentSegment) for each in expression.query.segments):
            raise PathInvalid("its path has .. in a filter")
        if isinstance(expression, RootFilterQuery) and not expression.query.singular_query():
            raise PathInvalid("its path searches from the root in a filter")
    if isinstance(expression, FunctionExtension) and expression.name in _PATTERNS:
        pattern = expression.args[1]
        if not isinstance(pattern, StringLiteral):
            raise PathInvalid("its path has a pattern that is no text")
        if _REPEATED_GROUP.search(pattern.value) or len(_REPEATED.findall(pattern.value)) > _MAX_REPEATED:
            raise PathInvalid(f"its path has a pattern that repeats a group, or more than {_MAX_REPEATED} things")
