"""Media types (RFC 9110 §8.3.1) and ranges of them (rule)."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,127}"
_QUOTED: Final = r'"(?:[ !#-\[\]-~]|\\[ -~])*"'
_PARAMETER: Final = rf"[ \t]*;[ \t]*(?P<name>{_TOKEN})=(?P<value>{_TOKEN}|{_QUOTED})"
_ANY_PARAMETER: Final = re.compile(_PARAMETER)
_MEDIA_TYPE: Final = re.compile(rf"{_TOKEN}/{_TOKEN}(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|{_QUOTED}))*")
_TEXTS: Final = frozenset(
    {
        "application/ecmascript",
        "application/graphql",
        "application/javascript",
        "application/json-seq",
        "application/jsonl",
        "application/jwt",
        "application/ndjson",
        "application/sdp",
        "application/sparql-query",
        "application/sparql-update",
        "application/sql",
        "application/toml",
        "application/x-jsonlines",
        "application/x-ndjson",
        "application/x-yaml",
        "application/xml",
        "application/xml-dtd",
        "application/yaml",
    }
)
#: Those in which a text can be sent.
_CHARSETS: Final = frozenset({"utf-8", "us-ascii", "iso-8859-1"})
_TEXT_SUFFIXES: Final = ("+xml", "+yaml", "+json-seq", "+jwt")


def is_media_type(text: str) -> bool:
    """Whether this is one media type, with or without parameters, and no range."""
    return len(text) <= 255 and "*" not in essence(text) and _MEDIA_TYPE.fullmatch(text) is not None


def essence(media_type: str) -> str:
    """Type and subtype, in small letters, without parameters."""
    return media_type.partition(";")[0].strip().lower()


def parameter(media_type: str, name: str) -> str:
    """The value of one parameter, or nothing."""
    for match in _ANY_PARAMETER.finditer(media_type):
        if match["name"].lower() == name:
            return match["value"].strip('"')
    return ""


def charset_of(media_type: str) -> str | None:
    """The charset that a text is sent in, UTF-8 where none is named; ``None`` for one that cannot be written."""
    charset = parameter(media_type, "charset").lower() or "utf-8"
    return charset if charset in _CHARSETS else None


def is_json(media_type: str) -> bool:
    """JSON itself and every type with the suffix (RFC 6839 §3.1)."""
    bare = essence(media_type)
    return bare in {"application/json", "text/json"} or bare.endswith("+json")


def is_text(media_type: str) -> bool:
    """Types that people write as text: ``text/*``, XML, YAML, lines of JSON and the like."""
    bare = essence(media_type)
    return bare.startswith("text/") or bare in _TEXTS or bare.endswith(_TEXT_SUFFIXES)


def in_range(media_type: str, allowed: str) -> bool:
    """Whether a media type is the one ``allowed``, or lies in its range (``image/*``, ``*/*``); parameters aside."""
    kind, _, subtype = essence(allowed).partition("/")
    given_kind, _, given_subtype = essence(media_type).partition("/")
    return kind in {"*", given_kind} and subtype in {"*", given_subtype}
