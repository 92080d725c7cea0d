"""Rule: which header fields pass, in either direction.

Hop-by-hop fields end here (RFC 9110 §7.6.1), those that ``Connection`` names too. No credential passes: not the
caller's to the API, not the API's to the caller. What tells an API who or where the caller is (``X-Forwarded-*``)
is written anew; what would have it read another method or path than policy saw is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

Raw = Iterable[tuple[bytes, bytes]]
Fields = list[tuple[str, str]]

_MAX_FIELDS: Final = 100
_MAX_BYTES: Final = 32 * 1024
_HOP_BY_HOP: Final = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-authentication-info",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
_CREDENTIALS: Final = frozenset({"authorization", "cookie", "dpop", "set-cookie"})
#: Rewritten by us or by the HTTP library.
_OURS: Final = frozenset({"host", "content-length", "expect", "x-request-id", "forwarded", "x-real-ip", "via"})
#: Other names under which proxies tell where a caller is; here they would be the caller's own word.
_WHEREABOUTS: Final = frozenset(
    ["true-client-ip", "x-client-ip", "x-cluster-client-ip", "cf-connecting-ip", "fastly-client-ip", "x-original-host"]
)
_NEGOTIATED: Final = frozenset({"accept-encoding"})
#: Some frameworks take the method or the path from these.
_OVERRIDES: Final = frozenset(
    [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-original-url",
        "x-original-uri",
        "x-original-method",
        "x-rewrite-url",
    ]
)
_PREFIXES: Final = (b"x-forwarded-", b"x-remit-", b"proxy-")
#: The cookies of this server's own pages: an API that had one could say yes for its user, or be signed in as.
_OWN_COOKIES: Final = re.compile(rb"\s*(?:__Host-)?remit-", re.IGNORECASE)
#: An answer may not send the caller round this gateway, nor have them sign in for the API's token.
_ANSWER_ONLY: Final = frozenset({"alt-svc", "authentication-info", "date", "dpop-nonce", "server", "www-authenticate"})
_NAME = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]{1,128}")  # RFC 9110 §5.1
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


class FieldsRefused(ValueError):
    """The fields cannot be passed on. ``status`` is what a client that sent them is answered."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Origin:
    """What an API is told of where a request came from: the peer's address, how it reached us and by which name."""

    client: str
    scheme: str
    host: str


def request_fields(raw: Raw, origin: Origin, *, cookies: bool) -> Fields:
    """The fields that go to the API, without Authorization. Raises ``FieldsRefused``.

    A name with ``_`` is dropped: CGI and WSGI take it for ``-``, and so for another field than the one looked at.
    """
    passed = _passed(raw, _OURS | _NEGOTIATED | _OVERRIDES | _WHEREABOUTS | _credentials(cookies=cookies))
    fields = [(name.decode("ascii"), _text(value)) for name, value in _without_own(passed) if b"_" not in name]
    told = [("x-forwarded-proto", origin.scheme), ("x-forwarded-host", origin.host)]
    return [*fields, *([("x-forwarded-for", origin.client)] if origin.client else []), *told]


def response_fields(raw: Raw, *, cookies: bool) -> list[tuple[bytes, bytes]]:
    """The fields that go to the caller, names in lower case. Raises ``FieldsRefused``."""
    passed = _passed(raw, (_OURS - {"content-length", "via"}) | _ANSWER_ONLY | _credentials(cookies=cookies))
    return [(name, value) for name, value in passed if name != b"set-cookie" or not _OWN_COOKIES.match(value)]


def body_length(raw: Raw) -> int | None:
    """Bytes of the body that follows; ``None``: as many as come (chunked). Raises ``FieldsRefused``.

    Two ways to say where a body ends are how requests are smuggled (RFC 9112 §6.3), so both at once are refused.
    """
    found = [(name, value) for name, value in raw if name in (b"content-length", b"transfer-encoding")]
    if not found:
        return 0
    (name, value), *others = found
    if others:
        raise FieldsRefused("the request says twice where its body ends")
    if name == b"transfer-encoding":
        if value.lower() != b"chunked":
            raise FieldsRefused("only the transfer coding chunked is read here", 501)
        return None
    if not value.isdigit() or len(value) > 18:
        raise FieldsRefused("Content-Length is not a number")
    return int(value)


def _credentials(*, cookies: bool) -> frozenset[str]:
    return _CREDENTIALS - {"cookie", "set-cookie"} if cookies else _CREDENTIALS


def _without_own(fields: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """The fields of a request, where cookies pass without those of this server's own pages."""
    for name, value in fields:
        if name != b"cookie":
            yield name, value
        elif kept := b";".join(pair for pair in value.split(b";") if not _OWN_COOKIES.match(pair)).strip():
            yield name, kept


def _passed(raw: Raw, dropped: frozenset[str]) -> list[tuple[bytes, bytes]]:
    fields = [(name.lower(), value) for name, value in raw]
    if len(fields) > _MAX_FIELDS or sum(len(name) + len(value) for name, value in fields) > _MAX_BYTES:
        raise FieldsRefused(f"the header fields are more than {_MAX_FIELDS}, or longer than {_MAX_BYTES} bytes", 431)
    if not all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in fields):
        raise FieldsRefused("a header field holds a character that it may not hold")
    stopped = {name.encode() for name in dropped | _HOP_BY_HOP} | _named_by_connection(fields)
    return [(name, value) for name, value in fields if name not in stopped and not name.startswith(_PREFIXES)]


def _named_by_connection(fields: list[tuple[bytes, bytes]]) -> set[bytes]:
    named = b",".join(value for name, value in fields if name == b"connection")
    return {name.strip().lower() for name in named.split(b",")}


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise FieldsRefused("a header field is not UTF-8") from error
