"""Rule: a request's target, if there is only one way to read it.

Routes match, policy decides and the API acts on the same path. Servers differ in what they make of ``..``, ``//``,
``%2f``, ``;`` and their like, so a path with any of these is refused, not mended: what is left reads the same
everywhere. It is passed on byte for byte.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

_MAX_BYTES: Final = 8192
_PATH = re.compile(r"/(?:[A-Za-z0-9\-._~!$&'()*+,=:@/]|%[0-9A-Fa-f]{2})*")  # RFC 3986 §3.3 without ";"
_QUERY = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]|^`{}\\]|%[0-9A-Fa-f]{2})*")  # and what browsers send
_DOUBLY_ENCODED = re.compile(r"%25[0-9A-Fa-f]{2}")
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
#: What may not stand in a path percent-encoded: characters that need no encoding (RFC 3986 §2.3), and separators.
_NEVER_ENCODED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/\\;")
_SEPARATORS: Final = "/\\.;%?#"


class TargetRefused(ValueError):
    """The target can be read in several ways, or in none. The message says which rule it breaks."""


@dataclass(frozen=True, slots=True)
class Target:
    """``path`` is ``raw_path`` with its percent-encoding taken off: what an API's framework sees."""

    raw_path: str
    query: str
    path: str

    @property
    def raw(self) -> str:
        """Path and query as they came."""
        return f"{self.raw_path}?{self.query}" if self.query else self.raw_path


def read_target(raw_path: bytes, query: bytes) -> Target:
    """The target in origin form (RFC 9112 §3.2.1). Raises ``TargetRefused``."""
    if len(raw_path) + len(query) > _MAX_BYTES:
        raise TargetRefused("the path and query are too long")
    path, search = raw_path.decode("latin-1"), query.decode("latin-1")
    if not _QUERY.fullmatch(search):
        raise TargetRefused("the query holds a character that must be percent-encoded")
    if not _PATH.fullmatch(path):
        raise TargetRefused("the path holds a character that it may not hold")
    _check_segments(path)
    return Target(path, search, _decoded(path))


def without_origin(raw_path: bytes, hosts: list[str]) -> bytes:
    """The path of a target in absolute form (RFC 9112 §3.2.2), which must name the same host as ``Host`` does."""
    scheme, separator, rest = raw_path.partition(b"://")
    if raw_path.startswith(b"/") or not separator:
        return raw_path
    authority, slash, path = rest.partition(b"/")
    if scheme.lower() not in {b"http", b"https"} or hosts != [authority.decode("latin-1")]:
        raise TargetRefused("the request line and Host name different hosts")
    return slash + path if slash else b"/"


def _check_segments(path: str) -> None:
    segments = path.split("/")[1:]
    if "" in segments[:-1]:
        raise TargetRefused("the path holds an empty segment")
    if not {".", ".."}.isdisjoint(segments):
        raise TargetRefused("the path holds a dot segment")


def _decoded(path: str) -> str:
    if _DOUBLY_ENCODED.search(path):
        raise TargetRefused("the path is percent-encoded twice")
    if any(chr(int(digits, 16)) in _NEVER_ENCODED for digits in _ENCODED.findall(path)):
        raise TargetRefused("the path has a character percent-encoded that may not be")
    try:
        decoded = unquote(path, errors="strict")
    except UnicodeDecodeError as error:
        raise TargetRefused("the path is not UTF-8") from error
    if not decoded.isprintable():
        raise TargetRefused("the path holds a character that does not print")
    folded = unicodedata.normalize("NFKC", decoded)  # some servers do, and find a slash in a full-width one
    if any(folded.count(character) != decoded.count(character) for character in _SEPARATORS):
        raise TargetRefused("the path holds a character that some servers take for a separator")
    return decoded
