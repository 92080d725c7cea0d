"""Schemas that all count for one value → one schema (rule). Nothing that fitted all of them stops fitting."""

from __future__ import annotations

from typing import Any, Final

from remit.catalog.openapi.description import JsonSchema

_REMARKS: Final = frozenset({"title", "description", "default", "deprecated", "readOnly", "writeOnly"})
#: Keywords that mean something else beside another schema's.
_TIED: Final = frozenset({"prefixItems", "if", "then", "else", "contains", "minContains", "maxContains"})


class _Apart(Exception):
    """The two cannot be said in one."""


def flattened(schema: JsonSchema) -> JsonSchema:
    """The schema with as much of its ``allOf`` as possible written into it."""
    own = {key: value for key, value in schema.items() if key != "allOf"}
    whole: JsonSchema = {}
    apart: list[JsonSchema] = []
    for branch in (*schema["allOf"], own):
        both = joined(whole, branch)
        if both is None:
            apart.append(branch)
        else:
            whole = both
    return {**whole, "allOf": [*whole.get("allOf", ()), *apart]} if apart else whole


def joined(one: JsonSchema, other: JsonSchema) -> JsonSchema | None:
    """One schema for both, or ``None`` where one cannot say it. Remarks are the other's.

    An object that is closed on one side stays open for the members of the other: what closes a part of an ``allOf``
    is meant for the whole.
    """
    if not one or not other:
        return other or one
    if not (_TIED.isdisjoint(one) and _TIED.isdisjoint(other)):
        return None
    whole = dict(one)
    try:
        for key, value in other.items():
            whole[key] = _both(key, whole[key], value) if key in whole else value
    except _Apart:
        return None
    return whole


def _both(key: str, one: Any, other: Any) -> Any:
    if key in _REMARKS or one == other:
        return other
    match key:
        case "required":
            both: Any = list(dict.fromkeys([*one, *other]))
        case "allOf":
            both = [*one, *other]
        case "type":
            both = _types(one, other)
        case "properties":
            both = {name: _member(one.get(name), other.get(name)) for name in dict.fromkeys([*one, *other])}
        case "items":
            both = joined(one, other)
        case "additionalProperties" if isinstance(one, bool) or isinstance(other, bool):
            both = False if False in (one, other) else other if one is True else one
        case _:
            both = None
    if both is None:
        raise _Apart
    return both


def _types(one: str | list[str], other: str | list[str]) -> str | list[str]:
    ones, others = ([kinds] if isinstance(kinds, str) else kinds for kinds in (one, other))
    common = [kind for kind in ones if kind in others or (kind == "integer" and "number" in others)]
    common += [kind for kind in others if kind == "integer" and "number" in ones and kind not in common]
    if not common:
        raise _Apart
    return common[0] if len(common) == 1 else common


def _member(one: JsonSchema | None, other: JsonSchema | None) -> JsonSchema:
    both = joined(one or {}, other or {})
    return {"allOf": [one, other]} if both is None else both
