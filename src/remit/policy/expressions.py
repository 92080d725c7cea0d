"""Rule: what the expressions of a policy say, as far as it is written out in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

from remit.policy.syntax import nodes, path

#: What is no literal.
COMPUTED: Final = object()

#: No value that is written out is deeper.
_MAX_LITERAL: Final = 50
_SCALARS: Final = frozenset({"String", "RawString", "Number", "Bool", "Null"})


@dataclass(frozen=True, slots=True)
class Reference:
    """``input.chain[_].id`` as steps: ``("input", "chain", None, "id")``; ``None`` where a step is computed."""

    steps: tuple[str | None, ...]
    span: Mapping[str, Any]


def references(tree: Any) -> Iterator[Reference]:
    """Every reference of a tree, each as long as it is written; and what ``object.get`` takes out of one."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(reversed(node))
        elif isinstance(node, dict):
            below, found = _unfolded(node)
            waiting.extend(reversed(below))
            yield from (each for each in (found, _taken(node)) if each is not None)


def reference(expression: Mapping[str, Any]) -> Reference | None:
    """The reference that this expression is; ``None`` where it is something else."""
    return _unfolded(expression)[1]


def written(head: Mapping[str, Any]) -> str:
    """The name of a rule, ``result.allowed`` for ``result["allowed"]``; up to where it is computed."""
    found = reference(head)
    return ".".join(step or "" for step in takewhile(bool, found.steps)) if found else ""


def resolved(found: Reference, named: Mapping[str, str]) -> tuple[str | None, ...]:
    """The steps of a reference, with an import's name replaced by what was imported (``syntax.aliases``)."""
    first, *rest = found.steps
    imported = named.get(first or "", "")
    return (*imported.split("."), *rest) if imported.startswith(("input.", "data.")) else found.steps


def literal(expression: Any, depth: int = 0) -> Any:
    """The JSON value that an expression is; ``COMPUTED`` where it, or a part of it, is no literal."""
    if depth > _MAX_LITERAL or not isinstance(expression, dict) or len(expression) != 1:
        return COMPUTED
    ((kind, body),) = expression.items()
    if kind in _SCALARS:
        return body["value"]
    if kind == "Array":
        items = [literal(item, depth + 1) for item in body["items"]]
        return COMPUTED if any(item is COMPUTED for item in items) else items
    if kind == "Object":
        pairs = [(literal(key, depth + 1), literal(value, depth + 1)) for _, key, value in body["fields"]]
        plain = all(isinstance(key, str) and value is not COMPUTED for key, value in pairs)
        return dict(pairs) if plain else COMPUTED
    return COMPUTED


def fields_of(expression: Any) -> dict[str, Mapping[str, Any]]:
    """The members of an object that is written out, as expressions, by those names that are texts."""
    match expression:
        case {"Object": {"fields": list(fields)}}:
            named = ((literal(key), value) for _, key, value in fields)
            return {name: value for name, value in named if isinstance(name, str)}
        case _:
            return {}


def calls(tree: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every call of a tree: the function's name as written, and the call."""
    for node in nodes(tree):
        if isinstance(call := node.get("Call"), dict):
            yield path(call["fcn"]), call


def _unfolded(node: Mapping[str, Any]) -> tuple[list[Any], Reference | None]:
    """What is to be looked at below a node, and the reference that it is."""
    steps: list[str | None] = []
    below: list[Any] = []
    inner = node
    while True:
        match inner:
            case {"RefDot": {"refr": deeper, "field": [_, str(name)]}}:
                steps.append(name)
                inner = deeper
            case {"RefBrack": {"refr": deeper, "index": index}}:
                value = literal(index)
                steps.append(value if isinstance(value, str) else None)
                below.append(index)
                inner = deeper
            case {"Var": {"value": str(name)}}:
                (whole,) = node.values()
                return below, Reference((name, *reversed(steps)), whole["span"])
            case _:
                return (list(node.values()) if inner is node else [inner, *below]), None


def _taken(node: Mapping[str, Any]) -> Reference | None:
    """``object.get(input, ["a", "b"], …)`` as ``input.a.b``."""
    match node:
        case {"Call": {"fcn": function, "params": [whole, key, _], "span": span}} if path(function) == "object.get":
            base, keys = reference(whole), literal(key)
            steps = keys if isinstance(keys, list) else [keys]
            if base is not None and all(isinstance(step, str) for step in steps):
                return Reference((*base.steps, *steps), span)
    return None
