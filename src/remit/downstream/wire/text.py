"""Values → text, and the ways text is escaped where it stands (rule)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, quote_plus

from remit.catalog.binding import scalar_text
from remit.errors import RequestUnusable

#: Compact JSON; raises ``ValueError`` for what JSON does not have.
encode_json: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_in_ascii: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode

_STRAY_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def encode_ascii_json(value: Any) -> str:
    """Compact JSON of nothing but printable ASCII, for headers."""
    return _in_ascii(value).replace("\x7f", "\\u007f")


@dataclass(frozen=True, slots=True)
class Escape:
    """How values, names and JSON are written in one place.

    ``comma`` stands for a comma inside an item of a list that commas divide; where that is a comma itself, such an
    item cannot be told from two.
    """

    value: Callable[[str], str]
    name: Callable[[str], str]
    comma: str = "%2C"
    json: Callable[[Any], str] = encode_json


def percent_encoded(text: str) -> str:
    """Everything but RFC 3986's unreserved characters, percent-encoded."""
    return quote(text, safe="")


def unescaped(text: str) -> str:
    """The text itself."""
    return text


def _reserved(kept: str) -> Escape:
    """RFC 6570 §3.2.3: ``kept`` and percent-encoded triples pass as they are."""

    def value(text: str) -> str:
        return quote(_STRAY_PERCENT.sub("%25", text), safe=kept + "%")

    return Escape(value, percent_encoded)


URL: Final = Escape(percent_encoded, percent_encoded)
FORM: Final = Escape(quote_plus, quote_plus)
PLAIN: Final = Escape(unescaped, unescaped, comma=",")
HEADER: Final = Escape(unescaped, unescaped, comma=",", json=encode_ascii_json)

# With allowReserved everything passes that cannot end the value, or the place it stands in, for any server:
# some take ";" for "&", and ";" in a path for the start of parameters.
RESERVED_QUERY: Final = _reserved(":/?@!$'()*,=")
RESERVED_PATH: Final = _reserved(":@!$&'()*+,=")
RESERVED_COOKIE: Final = _reserved(":/?#[]@!$&'()*+=")


def plain_text(name: str, value: Any) -> str:
    """A text, number or boolean as text. Raises ``RequestUnusable`` for anything else."""
    if value is None or isinstance(value, list | dict):
        raise RequestUnusable(f'"{name[:80]}" must be a text, a number or a boolean')
    return scalar_text(value)
