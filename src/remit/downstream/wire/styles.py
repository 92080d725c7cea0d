"""One value by its style (OpenAPI 3.2 §4.12.6, RFC 6570 §3.2) → pairs of names and values, or one text (rule).

An item that holds what divides the items is escaped where the API can still tell; where it cannot (a space in a list
that spaces divide) it is refused. So is an object whose keys would pass for other fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from remit.catalog.plan import Field, WireStyle
from remit.downstream.wire.text import Escape, plain_text
from remit.errors import RequestUnusable

#: A name and a value, both escaped.
Pair = tuple[str, str]

_DELIMITERS: Final[Mapping[str, str]] = {"spaceDelimited": " ", "pipeDelimited": "|", "tabDelimited": "\t"}
_AS_CONTENT: Final = frozenset({"json", "content", "text"})


def pairs_of(field: Field, value: Any, escape: Escape) -> list[Pair]:
    """The pairs one field becomes; none for ``null`` and for an empty list or object. Raises ``RequestUnusable``."""
    if value is None:
        return []
    style = field.encoding.style
    if style in _AS_CONTENT:
        items = value if field.encoding.explode and isinstance(value, list) else [value]
        return [(field.wire, escape.value(content_of(field, item, escape))) for item in items if item is not None]
    if not isinstance(value, list | dict):
        return [(field.wire, escape.value(plain_text(field.name, value)))]
    _check_taken(field, value)
    return list(_WRITERS.get(style, _form)(field, value, escape))


def text_of(field: Field, value: Any, escape: Escape) -> str | None:
    """The one text that a field of a path or a header becomes; ``None`` for ``null`` and for what is empty."""
    if value is None:
        return None
    style = field.encoding.style
    if style in _AS_CONTENT:
        return escape.value(content_of(field, value, escape))
    if style == "matrix":  # of what is empty the name alone is sent (RFC 6570 §3.2.7)
        pairs = pairs_of(field, value, escape)
        return "".join(f";{name}={text}" if text else f";{name}" for name, text in pairs) or None
    prefix = "." if style == "label" else ""
    if not isinstance(value, list | dict):
        return prefix + escape.value(plain_text(field.name, value))
    _check_taken(field, value)
    return _joined_text(field, value, escape, prefix)


def content_of(field: Field, value: Any, escape: Escape) -> str:
    """The value as JSON, or as plain text, as the style says."""
    style = field.encoding.style
    if style == "content" or (style == "json" and isinstance(value, list | dict)):
        return escape.json(value)
    return plain_text(field.name, value)


def _joined_text(field: Field, value: list[Any] | dict[str, Any], escape: Escape, prefix: str) -> str | None:
    explode = field.encoding.explode
    if isinstance(value, dict) and explode:
        members = [(_key(field, key, escape), *_texts(field, [item], escape)) for key, item in _members(value)]
        pieces = ["=".join(member) for member in members]
    else:
        pieces = _texts(field, _flat(value), escape)
    divider = prefix if prefix and explode else _delimiter(field, escape)
    return prefix + _join(field, divider, pieces) if pieces else None


def _key(field: Field, key: str, escape: Escape) -> str:
    name = escape.name(key)
    if not name or "=" in name:
        raise RequestUnusable(f'a key of "{field.name[:80]}" is empty or holds "="')
    return name.replace(",", escape.comma)


# ── styles of pairs ──


def _form(field: Field, value: list[Any] | dict[str, Any], escape: Escape) -> Iterator[Pair]:
    """``form`` and its kin: a field an item, or one field whose items are joined."""
    if not field.encoding.explode:
        texts = _texts(field, _flat(value), escape)
        if texts:
            yield field.wire, _join(field, _delimiter(field, escape), texts)
    elif isinstance(value, list):
        yield from ((field.wire, text) for text in _texts(field, value, escape, exploded=True))
    else:
        yield from _spread(field, value, escape)


def _spread(field: Field, value: dict[str, Any], escape: Escape) -> Iterator[Pair]:
    """An object whose members are fields of their own; a list among them repeats its field."""
    for key, member in _members(value):
        if not key or key.partition("[")[0].casefold() in field.others:
            raise RequestUnusable(f'a key of "{field.name[:80]}" is empty or the name of another field')
        items = member if isinstance(member, list) else [member]
        yield from ((escape.name(key), text) for text in _texts(field, items, escape, exploded=True))


def _deep(field: Field, value: list[Any] | dict[str, Any], escape: Escape) -> Iterator[Pair]:
    """``x[k]=v``. OpenAPI says nothing of lists: here a list within an object repeats its field."""
    yield from _nested(field, field.wire, value, escape)


def _nested(field: Field, wire: str, value: Any, escape: Escape) -> Iterator[Pair]:
    if isinstance(value, dict):
        for key, member in _members(value):
            if not key or "[" in key or "]" in key:
                raise RequestUnusable(f'a key of "{field.name[:80]}" is empty or holds brackets')
            yield from _nested(field, _inside(wire, escape.name(key), escape), member, escape)
    elif isinstance(value, list):
        yield from _nested_items(field, wire, value, escape)
    elif value is not None:
        yield wire, escape.value(plain_text(field.name, value))


def _nested_items(field: Field, wire: str, items: list[Any], escape: Escape) -> Iterator[Pair]:
    """``[]`` for plain items, and a number for each that is a list or an object: nothing else keeps them apart."""
    plain = not any(isinstance(item, list | dict) for item in items)
    repeated = field.encoding.style == "deepObject" and wire != field.wire
    for index, item in enumerate(items):
        each = wire if plain and repeated else _inside(wire, "" if plain else str(index), escape)
        yield from _nested(field, each, item, escape)


def _inside(wire: str, key: str, escape: Escape) -> str:
    return f"{wire}{escape.name('[')}{key}{escape.name(']')}"


# ── parts ──


def _check_taken(field: Field, value: list[Any] | dict[str, Any]) -> None:
    kind = "object" if isinstance(value, dict) else "list"
    if field.encoding.takes not in {kind, "any"}:
        raise RequestUnusable(f'"{field.name[:80]}" must not be {"an object" if kind == "object" else "a list"}')


def _delimiter(field: Field, escape: Escape) -> str:
    delimiter = _DELIMITERS.get(field.encoding.style)
    return "," if delimiter is None else escape.value(delimiter)


def _flat(value: list[Any] | dict[str, Any]) -> list[Any]:
    """The items, or keys and values in turn."""
    if isinstance(value, list):
        return value
    return [part for member in _members(value) for part in member]


def _members(value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """RFC 6570 §2.3: a member that is ``null`` is not there."""
    return ((key, member) for key, member in value.items() if member is not None)


def _texts(field: Field, values: list[Any], escape: Escape, *, exploded: bool = False) -> list[str]:
    texts = [_text(field, value, escape) for value in values if value is not None]
    return texts if exploded else [text.replace(",", escape.comma) for text in texts]


def _text(field: Field, value: Any, escape: Escape) -> str:
    return escape.value(plain_text(f"an item of {field.name}", value))


def _join(field: Field, delimiter: str, texts: list[str]) -> str:
    if any(delimiter in text for text in texts):
        raise RequestUnusable(f'an item of "{field.name[:80]}" holds what divides the items')
    return delimiter.join(texts)


_WRITERS: Final[Mapping[WireStyle, Callable[[Field, list[Any] | dict[str, Any], Escape], Iterator[Pair]]]] = {
    "deepObject": _deep,
    "brackets": _deep,
}
