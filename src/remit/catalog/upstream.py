"""The upstream block: where requests go, with which static headers, and the token they carry (rule)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from remit.catalog.definition import (
    AuthBlock,
    LimitsBlock,
    RetryBlock,
    ToolAuthBlock,
    ToolLimitsBlock,
    UpstreamBlock,
    amount,
)
from remit.catalog.plan import Fixed, RetryPlan, Sentence
from remit.catalog.problem import Flaws, Path
from remit.catalog.response_plan import compile_errors
from remit.catalog.tool import ToolAuth
from remit.oauth import parse_scope
from remit.web import is_secure

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*)"
)
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,4094}[\x21-\x7e])?")

_MAX_REQUEST: Final = 16 * 1024 * 1024
_RESOURCE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[!-~](?<!#))+")

#: Headers that are ours, the connection's, or that tell the API who is calling: never set by a tool file.
_FORBIDDEN_HEADERS: Final = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "date",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "max-forwards",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-real-ip",
        "x-request-id",
        "x-rewrite-url",
    }
)
_FORBIDDEN_PREFIXES: Final = ("proxy-", "sec-", "x-forwarded-")


@dataclass(frozen=True, slots=True)
class Upstream:
    """A compiled upstream block; ``base_url`` has no trailing slash."""

    base_url: str
    origin: str
    headers: tuple[tuple[str, Fixed], ...]
    errors: Mapping[str, Sentence] = field(default_factory=dict)


def origin_of(url: str) -> str:
    """``scheme://host:port``, in lower case and with the port written out. Raises ``ValueError`` for other schemes."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    if port is None or not parts.hostname:
        raise ValueError("not an http or https URL")
    return f"{parts.scheme}://{parts.hostname}:{port}"


def compile_upstream(block: UpstreamBlock, flaws: Flaws) -> Upstream:
    """Check the URL and the headers. The result is of use only when nothing was added to ``flaws``."""
    path: Path = ("upstream", "baseUrl")
    base_url = block.base_url.rstrip("/")
    origin = ""
    if any(flaw.path == path for flaw in flaws):
        pass  # the environment did not fill it, which has been said
    elif match := _URL.fullmatch(base_url):
        if int(match["port"] or 1) not in range(1, 65536):
            flaws.add(path, "the port is out of range")
        elif not is_secure(base_url):
            flaws.add(path, "a token may not be sent there without TLS", "write https (http is for this machine alone)")
        elif any(unquote(part) in {".", ".."} for part in match["path"].split("/")):
            flaws.add(path, 'the path has a segment "." or ".."', "write the path it means")
        else:
            origin = origin_of(base_url)
    else:
        flaws.add(path, "baseUrl is not a plain URL", "write https://host/path: no query, fragment, user or spaces")
    compile_timeout(block.timeout, ("upstream", "timeout"), flaws)
    headers = tuple((name, Fixed(value)) for name, value in block.headers.items())
    check_header_names(block.headers, ("upstream", "headers"), flaws)
    for name, value in block.headers.items():
        check_header_text(value, ("upstream", "headers", name), flaws)
    return Upstream(base_url, origin, headers, compile_errors(block.errors, ("upstream",), flaws))


def check_header_names(names: Iterable[str], path: Path, flaws: Flaws) -> None:
    """Well-formed, each once whatever its case, and none of those a tool file may not set."""
    seen: set[str] = set()
    for name in names:
        folded = name.lower()
        if not _HEADER_NAME.fullmatch(name):
            flaws.add((*path, name), f'"{name[:60]}" is no header name', "use letters, digits and hyphens", at_key=True)
        elif folded in _FORBIDDEN_HEADERS or folded.startswith(_FORBIDDEN_PREFIXES):
            flaws.add((*path, name), f"{name} is not a tool file's to set", "leave it out", at_key=True)
        elif folded in seen:
            flaws.add((*path, name), f"{name} is there already in another case", "keep one", at_key=True)
        seen.add(folded)


def may_set_header(name: str) -> bool:
    """Whether a tool may set this header: well-formed, and none that is ours or the connection's."""
    folded = name.lower()
    return bool(_HEADER_NAME.fullmatch(name)) and not (
        folded in _FORBIDDEN_HEADERS or folded.startswith(_FORBIDDEN_PREFIXES)
    )


def is_header_text(text: str) -> bool:
    """Whether ``text`` may be a header's value: printable ASCII, no space at either end (RFC 9110 §5.5, narrowed)."""
    return _HEADER_VALUE.fullmatch(text) is not None


def check_header_text(text: str, path: Path, flaws: Flaws) -> None:
    """Check a header value that is fixed in the file."""
    if not is_header_text(text):
        flaws.add(path, "a header value is printable ASCII without spaces around it")
    elif "${" in text:
        flaws.add(
            path, "the environment is not read here", "${ENV} is for baseUrl and auth; headers are no place for secrets"
        )


def check_auth(block: AuthBlock, flaws: Flaws) -> None:
    """What the upstream's auth block says must make one target, scopes and a lifetime."""
    path: Path = ("upstream", "auth")
    if block.type == "none":
        for name in sorted(block.model_fields_set - {"type"}):
            key = type(block).model_fields[name].alias or name
            flaws.add((*path, key), f"{key} means nothing without a token", "leave it out", at_key=True)
        return
    if not (block.audience or block.resource):
        flaws.add(path, "the token has no target", "name the API in audience or resource")
    if not block.audience.isprintable():
        flaws.add((*path, "audience"), "audience is not printable")
    if block.resource and not _RESOURCE.fullmatch(block.resource):
        flaws.add((*path, "resource"), "resource is not an absolute URI without fragment (RFC 8707 §2)")
    _check_scopes(block.scopes, path, flaws)
    _lifetime(block.max_ttl, path, flaws)


def compile_auth(upstream: AuthBlock, tool: ToolAuthBlock, path: Path, flaws: Flaws) -> ToolAuth:
    """The token one tool's calls carry: the upstream's, with the tool's own scopes and lifetime in its place.

    ``path`` leads to the tool's block; the upstream's own is checked by ``check_auth``.
    """
    if upstream.type == "none" and tool.model_fields_set:
        flaws.add(path, "the upstream takes no token", "leave auth out here", at_key=True)
    if tool.scopes is not None:
        _check_scopes(tool.scopes, path, flaws)
    scopes = tuple(dict.fromkeys(upstream.scopes if tool.scopes is None else tool.scopes))
    if upstream.type == "client-credentials" and not scopes:
        message = "a token that no user's rights bound needs scopes that do"
        flaws.add(path if tool.scopes is not None else ("upstream", "auth"), message, "name them in scopes")
    return ToolAuth(
        type=upstream.type,
        audience=upstream.audience,
        resource=upstream.resource,
        scopes=scopes,
        actor=upstream.actor,
        max_lifetime=_lifetime(tool.max_ttl, path, flaws) if tool.max_ttl else int(amount(upstream.max_ttl)),
        step_up=tool.step_up or upstream.step_up or "",
    )


def _lifetime(text: str, path: Path, flaws: Flaws) -> int:
    seconds = amount(text)
    if not 1 <= seconds <= 3600 or seconds % 1:
        flaws.add((*path, "maxTtl"), f"maxTtl {text} is not between 1s and 1h in whole seconds")
    return int(seconds)


def _check_scopes(scopes: list[str], path: Path, flaws: Flaws) -> None:
    for index, scope in enumerate(scopes):
        try:
            single = parse_scope(scope) == (scope,)
        except ValueError:
            single = False
        if not single:
            flaws.add(
                (*path, "scopes", index), f'"{scope[:60]}" is not one scope (RFC 6749 §3.3)', "write one scope an item"
            )


def compile_timeout(text: str, path: Path, flaws: Flaws) -> float:
    """Seconds for a whole call."""
    seconds = amount(text)
    if not 0.01 <= seconds <= 600:
        flaws.add(path, f"timeout {text} is not between 10ms and 10m")
    return seconds


def compile_max_request(upstream: LimitsBlock, tool: ToolLimitsBlock, path: Path, flaws: Flaws) -> int:
    """The longest body of one tool's requests, in bytes; ``path`` leads to the tool."""
    text = tool.max_request_bytes or upstream.max_request_bytes
    size = int(amount(text))
    if not 1 <= size <= _MAX_REQUEST:
        where: Path = path if tool.max_request_bytes else ("upstream",)
        flaws.add((*where, "limits", "maxRequestBytes"), f"maxRequestBytes {text} is not between 1B and 16MiB")
    return size


def compile_retry(block: RetryBlock | None) -> RetryPlan:
    """Without a block nothing is sent twice."""
    if block is None:
        return RetryPlan()
    return RetryPlan(block.attempts, frozenset(block.when), amount(block.backoff))
