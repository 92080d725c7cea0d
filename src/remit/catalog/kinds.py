"""What a YAML file below the paths of tools is (rule): not every one is a tool file, descriptions may lie beside them.

Told by the keys of its root, which stand at the beginning of a line; a description of megabytes is not parsed for that.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import orjson

Kind = Literal["tools", "description", "other"]

#: Of a tool file, and of nothing else that lies about there.
_OF_TOOLS: Final = frozenset({"upstream", "tools"})
#: Of an API description (OpenAPI, Swagger) or an overlay to one.
_OF_DESCRIPTIONS: Final = frozenset({"openapi", "swagger", "overlay"})
_KEY: Final = re.compile(rb"""^(["']?)(upstream|tools|openapi|swagger|overlay)\1[ \t]*:(?=\s|\Z)""", re.MULTILINE)


def kind_of(content: bytes) -> Kind:
    """What it is. A file that has keys of both is taken for a tool file: somebody expects tools of it."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    keys = _keys_in_braces(content) if content[:1] == b"{" else {match[2].decode() for match in _KEY.finditer(content)}
    if keys & _OF_TOOLS:
        return "tools"
    return "description" if keys & _OF_DESCRIPTIONS else "other"


def _keys_in_braces(content: bytes) -> set[str]:
    try:
        data = orjson.loads(content)
    except orjson.JSONDecodeError:
        return set()
    return set(data) if isinstance(data, dict) else set()
