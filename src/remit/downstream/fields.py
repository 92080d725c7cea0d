"""One value → the pairs of a query or of a form body, by style (rule).

What would let a value become something else is refused: an item that holds the delimiter of its list, a key
that holds brackets, an object without a style that names its parameter (the model would choose the names).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from remit.catalog.binding import scalar_text
from remit.catalog.definition import Style
from remit.errors import RequestUnusable

#: Compact JSON; raises ``ValueError`` for what JSON does not have.
encode_json: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

#: A name as text and a value that is encoded already.
Pair = tuple[str, str]
Encode = Callable[[str], str]

_DELIMITERS: Final = {"comma": ",", "space": " ", "pipe": "|"}


def pairs_of(name: str, value: Any, style: Style, encode: Encode) -> Iterator[Pair]:
    """The pairs for one field; none for ``null`` and for an empty list or object.

    ``encode`` is what is done to each value. Raises ``RequestUnusable``.
    """
    if value is None:
        return
    if not isinstance(value, list | dict):
        yield name, encode(scalar_text(value))
    elif style == "json":
        yield name, encode(encode_json(value))
    elif isinstance(value, dict):
        yield from _members(name, value, style, encode)
    elif style in _DELIMITERS:
        yield from _delimited(name, value, style, encode)
    elif style == "deepObject":
        raise RequestUnusable(f'"{name[:80]}" must be an object')
    else:
        each = f"{name}[]" if style == "brackets" else name
        yield from ((each, encode(text)) for text in _texts(name, value))


def plain_text(name: str, value: Any) -> str:
    """A text, number or boolean as text. Raises ``RequestUnusable`` for anything else."""
    if value is None or isinstance(value, list | dict):
        raise RequestUnusable(f'"{name[:80]}" must be a text, a number or a boolean')
    return scalar_text(value)


def _texts(name: str, values: list[Any]) -> list[str]:
    return [plain_text(f"{name}[{index}]", value) for index, value in enumerate(values)]


def _delimited(name: str, values: list[Any], style: Style, encode: Encode) -> Iterator[Pair]:
    delimiter = _DELIMITERS[style]
    texts = _texts(name, values)
    if any(delimiter in text for text in texts):
        raise RequestUnusable(f'an item of "{name[:80]}" holds the {style} that divides the items')
    if texts:
        # A comma is legal in a query and divides there; the other two are not and are encoded themselves.
        yield name, (delimiter if delimiter == "," else encode(delimiter)).join(map(encode, texts))


def _members(name: str, value: dict[str, Any], style: Style, encode: Encode) -> Iterator[Pair]:
    if style not in {"deepObject", "brackets"}:
        raise RequestUnusable(f'"{name}" must not be an object')
    for key, member in value.items():
        if not key or "[" in key or "]" in key:
            raise RequestUnusable(f'a key of "{name[:80]}" is empty or holds brackets')
        inner = f"{name}[{key}]"
        if isinstance(member, list):
            each = f"{inner}[]" if style == "brackets" else inner
            yield from ((each, encode(text)) for text in _texts(inner, member))
        else:
            yield from pairs_of(inner, member, style, encode)
