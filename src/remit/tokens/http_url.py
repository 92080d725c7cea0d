"""When two HTTP URLs are the same (RFC 3986 §6.2.2, §6.2.3) (rule)."""

from __future__ import annotations

import re
from typing import Final

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>(?:/(?:[a-z0-9\-._~!$&'()*+,;=:@/]|%[0-9a-f]{2})*)?)"
    r"(?:\?(?:[a-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9a-f]{2})*)?"
    r"(?:#(?:[a-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9a-f]{2})*)?",
    re.IGNORECASE | re.ASCII,
)
_ENCODED: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def normal_url(url: object) -> str:
    """The one spelling of an ``http`` or ``https`` URL, without query and fragment.

    Scheme and host in lower case, no default port, percent-encoding only where it is needed, no dot segments, at least
    ``/`` as path. Raises ``ValueError`` for anything else, also for a URL that names a user.
    """
    match = _URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        raise ValueError("is no http or https URL")
    scheme, host = match["scheme"].lower(), match["host"].lower()
    port = int(match["port"]) if match["port"] else _DEFAULT_PORTS[scheme]
    path = _without_dots(_ENCODED.sub(_decoded, match["path"]))
    return f"{scheme}://{host}{'' if port == _DEFAULT_PORTS[scheme] else f':{port}'}{path}"


def _decoded(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def _without_dots(path: str) -> str:
    """RFC 3986 §5.2.4, for a path that begins with a slash or is empty."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)
