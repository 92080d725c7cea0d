"""The keywords of one Schema Object, of any dialect, in the words of JSON Schema 2020-12 (rule).

Only the object itself: the schemas in it are :mod:`remit.catalog.openapi.schemas`' business. What no version
of OpenAPI knows, examples, and what says nothing about values (``discriminator``, ``xml``, ``externalDocs``) is
dropped. A keyword with a value it cannot have is dropped with a complaint.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from remit.catalog.schema import Schema, SchemaInvalid

Complain = Callable[[str], None]

MAX_DATA_DEPTH: Final = 32
_MAX_PATTERN: Final = 4096
_INTEGERS: Final = range(-(2**63), 2**64)
_TYPES: Final = ("string", "number", "integer", "boolean", "array", "object", "null")
#: Words seen in real descriptions for what JSON Schema calls otherwise: type and format.
_OTHER_TYPES: Final[dict[str, tuple[str, str]]] = {
    "file": ("string", "binary"),
    "binary": ("string", "binary"),
    "str": ("string", ""),
    "text": ("string", ""),
    "uuid": ("string", "uuid"),
    "date": ("string", "date"),
    "datetime": ("string", "date-time"),
    "date-time": ("string", "date-time"),
    "int": ("integer", ""),
    "int32": ("integer", "int32"),
    "int64": ("integer", "int64"),
    "long": ("integer", "int64"),
    "float": ("number", "float"),
    "double": ("number", "double"),
    "decimal": ("number", ""),
    "bool": ("boolean", ""),
    "list": ("array", ""),
    "dict": ("object", ""),
    "map": ("object", ""),
}
_ANYTHING: Final = frozenset({"any", "mixed", "*", ""})
_SLASHES: Final = re.compile(r"/(\^.*\$)/")
_TEXTUAL_MEDIA: Final = re.compile(r"text/|.*[/+](?:json|xml|yaml|x-www-form-urlencoded)\b", re.IGNORECASE)

_WHOLE: Final = (
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
)
_LIMITS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_FLAGS: Final = ("uniqueItems", "deprecated", "nullable", "readOnly", "writeOnly")
_TEXTS: Final = ("title", "description", "format", "contentEncoding", "contentMediaType")
#: Keywords whose value is or holds schemas: handed on as they are.
_WITH_SCHEMAS: Final[tuple[str, ...]] = (
    "properties",
    "patternProperties",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "dependentSchemas",
    "prefixItems",
    "items",
    "unevaluatedItems",
    "contains",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
)


class Unfit(Exception):
    """A value that a keyword cannot have; the text says what is wrong with it."""


def modernised(schema: Mapping[str, Any], complain: Complain) -> dict[str, Any]:
    """The known keywords of ``schema``, each with a value it can have.

    ``nullable``, ``readOnly`` and ``writeOnly`` are left in place, since they mean something to the schema around.
    """
    old = _renamed(schema)
    new: dict[str, Any] = {key: old[key] for key in _WITH_SCHEMAS if key in old}
    for key, clean in _CLEANERS.items():
        if key in old:
            try:
                new[key] = clean(old[key])
            except Unfit as unfit:
                complain(f"{key} is left out: {unfit}")
    _fit_type(old.get("type"), new, complain)
    _fit_exclusive_limits(old, new)
    _fit_media(new)
    _fit_values(new)
    return new


def _renamed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of older drafts under the names they have now."""
    old = dict(schema)
    if old.get("x-nullable") is True:
        old["nullable"] = True
    if isinstance(old.get("items"), list):
        old["prefixItems"] = old["items"]
        old["items"] = old.get("additionalItems")
    if isinstance(dependencies := old.get("dependencies"), dict):
        names = {key: value for key, value in dependencies.items() if isinstance(value, list)}
        old.setdefault("dependentRequired", names)
        old.setdefault("dependentSchemas", {key: value for key, value in dependencies.items() if key not in names})
    return old


# ── values ───────────────────────────────────────────────────────────────────────────────


def plain(value: Any, depth: int = 0) -> Any:
    """Data as every JSON parser takes it: whole numbers of 64 bits. Raises ``Unfit`` where it is nested too deep."""
    if depth > MAX_DATA_DEPTH:
        raise Unfit(f"it is nested deeper than {MAX_DATA_DEPTH} levels")
    if isinstance(value, dict):
        return {str(key): plain(member, depth + 1) for key, member in value.items()}
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    return _number(value)


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit("it is no number")
    if isinstance(value, int) and value in _INTEGERS:
        return value
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Unfit("it is too large a number")
    return number


def _whole(value: Any) -> int:
    number = _number(value)
    if number < 0 or number != int(number) or int(number) not in _INTEGERS:
        raise Unfit("it is no count")
    return int(number)


def _multiple(value: Any) -> int | float:
    number = _number(value)
    if number <= 0:
        raise Unfit("it is not above zero")
    return number


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unfit("it is neither true nor false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unfit("it is no text")
    return value.strip()


def _names(value: Any) -> list[str]:
    if isinstance(value, bool):  # of an older draft, said of a property: the schema around reads it
        return []
    if not isinstance(value, list):
        raise Unfit("it is no list")
    return list(dict.fromkeys(item for item in value if isinstance(item, str)))


def _name_lists(value: Any) -> dict[str, list[str]]:
    if not isinstance(value, dict):
        raise Unfit("it is no mapping")
    return {str(key): _names(names) for key, names in value.items()}


def _choices(value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise Unfit("it is no list of values")
    return _unique([plain(item) for item in value])


def _unique(values: list[Any]) -> list[Any]:
    first: dict[str, Any] = {}
    for value in values:
        first.setdefault(json.dumps(value, sort_keys=True), value)
    return list(first.values())


def _pattern(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_PATTERN:
        raise Unfit("it is no text, or too long a one")
    slashes = _SLASHES.fullmatch(value)
    pattern = slashes[1] if slashes else value
    if not is_pattern(pattern):
        raise Unfit("it is no regular expression that can be used here")
    return pattern


@lru_cache(maxsize=4096)
def is_pattern(text: str) -> bool:
    """Whether the validator can compile this as a ``pattern``."""
    try:
        Schema({"pattern": text})
    except SchemaInvalid:
        return False
    return True


_CLEANERS: Final[dict[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(_TEXTS, _text),
    "enum": _choices,
    "const": plain,
    "default": plain,
    **dict.fromkeys(_LIMITS, _number),
    "multipleOf": _multiple,
    **dict.fromkeys(_WHOLE, _whole),
    "pattern": _pattern,
    "required": _names,
    "dependentRequired": _name_lists,
    **dict.fromkeys(_FLAGS, _flag),
}


# ── keywords that depend on each other ───────────────────────────────────────────────────


def _fit_type(kind: Any, new: dict[str, Any], complain: Complain) -> None:
    """``type``: one of JSON's, or a list of them with ``null`` last. Schemas in the list (draft 3) become ``anyOf``."""
    kinds = kind if isinstance(kind, list) else [kind] if kind is not None else []
    if any(isinstance(item, dict) for item in kinds):
        new.setdefault("anyOf", [item if isinstance(item, dict) else {"type": item} for item in kinds])
        return
    if any(isinstance(item, str) and item.lower() in _ANYTHING for item in kinds):
        return
    known = dict.fromkeys(name for item in kinds if (name := _type_name(item, new)))
    if len(known) < len(set(map(str, kinds))):
        complain("type is left out or cut: JSON has no such type")
    names = sorted(known, key=lambda name: name == "null")
    if names:
        new["type"] = names if len(names) > 1 else names[0]


def _type_name(item: Any, new: dict[str, Any]) -> str:
    word = item.lower() if isinstance(item, str) else "null" if item is None else ""
    if word in _TYPES:
        return word
    name, form = _OTHER_TYPES.get(word, ("", ""))
    if form:
        new.setdefault("format", form)
    return name


def _fit_exclusive_limits(old: Mapping[str, Any], new: dict[str, Any]) -> None:
    """``exclusiveMinimum: true`` beside a ``minimum`` is what ``exclusiveMinimum`` with a number is now."""
    for limit, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(old.get(exclusive), bool):
            new.pop(exclusive, None)
            if old[exclusive] and limit in new:
                new[exclusive] = new.pop(limit)


def _fit_media(new: dict[str, Any]) -> None:
    """Bytes as they are (3.1: a media type that is no text's, and no encoding) are ``format: binary``, as before 3.1."""
    media = new.get("contentMediaType", "")
    if media and "contentEncoding" not in new and not _TEXTUAL_MEDIA.match(media):
        new.setdefault("type", "string")
        new["format"] = "binary"
        if media == "application/octet-stream":
            del new["contentMediaType"]


def _fit_values(new: dict[str, Any]) -> None:
    """Values written without quotes where a text is meant (YAML), or the other way round; no ``null`` by accident."""
    kind = new.get("type")
    if isinstance(kind, str) and kind in _CONVERSIONS:
        convert = _CONVERSIONS[kind]
        if "enum" in new:
            new["enum"] = _unique([convert(value) for value in new["enum"]])
        for key in ("const", "default"):
            if key in new:
                new[key] = convert(new[key])
    if new.get("default", ...) is None and not new.get("nullable") and "null" not in (kind or ["null"]):
        del new["default"]


def _as_text(value: Any) -> Any:
    return value if value is None or isinstance(value, str | list | dict) else json.dumps(value)


def _as_whole_number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value) else value


def _as_flag(value: Any) -> Any:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


_CONVERSIONS: Final[dict[str, Callable[[Any], Any]]] = {
    "string": _as_text,
    "integer": _as_whole_number,
    "boolean": _as_flag,
}
