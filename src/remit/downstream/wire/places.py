"""Values in the places of a request: path segment, query, header, cookie (rule).

A value never leaves its place: not its segment, its parameter, its line, its cookie.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote

from remit.catalog.plan import Field
from remit.catalog.upstream import is_header_text
from remit.downstream.wire.styles import Pair, pairs_of, text_of
from remit.downstream.wire.text import HEADER, PLAIN, RESERVED_COOKIE, RESERVED_PATH, RESERVED_QUERY, URL
from remit.errors import RequestUnusable

_DIVIDERS: Final = re.compile(r"[/\\]")
#: RFC 6265 §4.1.1
_COOKIE_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_COOKIE_VALUE: Final = re.compile(r"[!#-+\--:<-\[\]-~]*")
#: The same with the commas that divide a list.
_COOKIE_LIST: Final = re.compile(r"[!#-:<-\[\]-~]*")
_COOKIE_AS_IS: Final = frozenset({"cookie", "text"})


def path_value(field: Field, value: Any) -> str:
    """One value of a path segment, escaped. What is empty would make the path another one."""
    text = text_of(field, value, RESERVED_PATH if field.encoding.allow_reserved else URL)
    if not text:
        raise RequestUnusable(f'"{field.name[:80]}" is empty, and the path needs it')
    return text


def leads_away(segment: str) -> bool:
    """Whether a segment holds ``.`` or ``..``: a server that decodes before it routes must not be led upwards."""
    if "." not in segment and "%2" not in segment:
        return False
    return not {".", ".."}.isdisjoint(_DIVIDERS.split(unquote(segment)))


def query_pairs(field: Field, value: Any) -> list[Pair]:
    """The pairs of one query parameter, escaped."""
    return pairs_of(field, value, RESERVED_QUERY if field.encoding.allow_reserved else URL)


def header_value(field: Field, value: Any) -> str | None:
    """A header's value, never escaped; one that could end its line or be read as something else is refused."""
    text = text_of(field, value, HEADER)
    if text and not is_header_text(text):
        raise RequestUnusable(f'the value for the header "{field.name}" is not printable ASCII, or too long')
    return text


def cookie_pairs(field: Field, value: Any) -> list[Pair]:
    """The cookies of one parameter: percent-encoded, or as they are (``style: cookie``) where they can be."""
    encoding = field.encoding
    if encoding.style not in _COOKIE_AS_IS:
        return pairs_of(field, value, RESERVED_COOKIE if encoding.allow_reserved else URL)
    pairs = pairs_of(field, value, PLAIN)
    joined = isinstance(value, list | dict) and not encoding.explode
    allowed = _COOKIE_LIST if joined else _COOKIE_VALUE
    if not all(_COOKIE_NAME.fullmatch(name) and allowed.fullmatch(text) for name, text in pairs):
        raise RequestUnusable(f'the value for the cookie "{field.name[:80]}" has characters that no cookie may have')
    return pairs
