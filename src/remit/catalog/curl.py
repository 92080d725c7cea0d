"""A ``curl`` command → the request that it makes (rule). Nothing is run and no file is read.

What proves who is calling (``-u``, ``-H 'Authorization: …'``, cookies, certificates) is left out here and told by
name alone, so that no secret goes any further.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

MAX_COMMAND: Final = 64 * 1024
_MAX_WORDS: Final = 500

#: Options that take a value → what becomes of it; nothing becomes of those that say how curl behaves.
_WITH_VALUE: Final[Mapping[str, str]] = {
    **dict.fromkeys(("-X", "--request"), "method"),
    **dict.fromkeys(("-H", "--header"), "header"),
    **dict.fromkeys(("-d", "--data", "--data-ascii", "--data-binary"), "data"),
    "--data-raw": "raw",
    "--data-urlencode": "encoded",
    "--json": "json",
    **dict.fromkeys(("-F", "--form"), "part"),
    "--form-string": "text_part",
    "--url": "url",
    **dict.fromkeys(("-u", "--user", "--oauth2-bearer", "--aws-sigv4"), "proof"),
    **dict.fromkeys(("-b", "--cookie", "-E", "--cert", "--key", "--pass", "-U", "--proxy-user"), "proof"),
    **dict.fromkeys(
        ("-A", "--user-agent", "-e", "--referer", "-o", "--output", "-m", "--max-time", "--connect-timeout"), "nothing"
    ),
    **dict.fromkeys(("--retry", "--retry-delay", "--retry-max-time", "--max-redirs", "-w", "--write-out"), "nothing"),
    **dict.fromkeys(("-c", "--cookie-jar", "-x", "--proxy", "--noproxy", "--cacert", "--capath", "-D"), "nothing"),
    **dict.fromkeys(("--dump-header", "--resolve", "--connect-to", "--ciphers", "-T", "--upload-file"), "refused"),
    **dict.fromkeys(("-K", "--config", "--unix-socket", "--interface"), "refused"),
}
_FLAGS: Final = (
    "-s --silent -S --show-error -L --location -v --verbose -i --include --show-headers -f --fail --fail-with-body -g"
    " --globoff -k --insecure --compressed -N --no-buffer -# --progress-bar --http1.0 --http1.1 -0 --http2 --http3"
    " -4 --ipv4 -6 --ipv6 --location-trusted --path-as-is --tcp-nodelay --tlsv1.2 --tlsv1.3 --ssl-reqd --raw -n"
    " --netrc -j --no-keepalive -O --remote-name --post301 --post302 --post303 --anyauth --basic --digest"
)
_METHOD_FLAGS: Final = {"-G": "GET", "--get": "GET", "-I": "HEAD", "--head": "HEAD"}
_DOLLAR_QUOTED: Final = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", '"': '"', "?": "?"}
_ESCAPE: Final = re.compile(r"\\(u[0-9A-Fa-f]{1,4}|x[0-9A-Fa-f]{1,2}|.)", re.DOTALL)
_PROOF_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie"})


class CurlInvalid(ValueError):
    """It is no command that can be understood; the text says why and repeats nothing but names of options."""


class Part(NamedTuple):
    """One part of a multipart form. ``is_file``: the value is a file's name."""

    name: str
    value: str
    is_file: bool


@dataclass(frozen=True, slots=True)
class CurlRequest:
    """What would be sent. ``url`` is without user, password and fragment; ``proofs`` names what was left out."""

    method: str
    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: str | None = field(default=None, repr=False)
    parts: tuple[Part, ...] = field(default=(), repr=False)
    proofs: tuple[str, ...] = ()

    def header(self, name: str) -> str:
        """The value of a header, empty where it is not set."""
        return next((value for known, value in self.headers if known.lower() == name), "")


def read_curl(command: str) -> CurlRequest:
    """The request that a command for a POSIX shell makes. Raises ``CurlInvalid``."""
    if len(command) > MAX_COMMAND:
        raise CurlInvalid(f"the command is longer than {MAX_COMMAND} characters")
    try:
        words = shlex.split(_DOLLAR_QUOTED.sub(_plainly_quoted, command.replace("\\\r\n", " ").replace("\\\n", " ")))
    except ValueError as error:
        raise CurlInvalid(f"a quote is open: {error}") from None
    if not words or words[0].rpartition("/")[2] not in {"curl", "curl.exe"}:
        raise CurlInvalid("it does not begin with curl")
    if len(words) > _MAX_WORDS:
        raise CurlInvalid(f"it has more than {_MAX_WORDS} words")
    reader = _Reader()
    for option, value in _options(words[1:]):
        reader.take(option, value)
    return reader.request()


def _plainly_quoted(match: re.Match[str]) -> str:
    """``$'…'`` (ANSI C quoting, which browsers copy) as the quoting that ``shlex`` knows."""
    return shlex.quote(_ESCAPE.sub(_unescaped, match[1]))


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "ux" and len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPES.get(code, match[0])


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Each option with its value, empty for flags; the URL is the option ``--url``."""
    waiting = iter(words)
    for word in waiting:
        if word in {"&&", "||", "|", ";", ">", "<", "&"}:
            raise CurlInvalid(f"{word} is for the shell: give the one command alone")
        if word.startswith("--"):
            if word in _WITH_VALUE:
                yield word, _value(word, waiting)
            else:
                yield word, ""
        elif word.startswith("-") and len(word) > 1:
            yield from _short(word, waiting)
        else:
            yield "--url", word


def _short(word: str, waiting: Iterator[str]) -> Iterator[tuple[str, str]]:
    """``-sSL`` is three flags, ``-XPOST`` an option with its value."""
    for at in range(1, len(word)):
        option = f"-{word[at]}"
        if option in _WITH_VALUE:
            yield option, word[at + 1 :] or _value(option, waiting)
            return
        yield option, ""


def _value(option: str, waiting: Iterator[str]) -> str:
    try:
        return next(waiting)
    except StopIteration:
        raise CurlInvalid(f"{option} has no value") from None


@dataclass(slots=True)
class _Reader:
    """The options of one command as they are read."""

    urls: list[str] = field(default_factory=list)
    method: str = ""
    implied: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    json: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    proofs: list[str] = field(default_factory=list)

    def take(self, option: str, value: str) -> None:
        """The next option."""
        if option in _METHOD_FLAGS:
            self.implied = _METHOD_FLAGS[option]
        elif option in _WITH_VALUE:
            taker: Callable[[str, str], Any] = getattr(self, f"_{_WITH_VALUE[option]}")
            taker(option, value)
        elif option not in _FLAGS.split():
            raise CurlInvalid(f"{option.partition('=')[0][:30]} is no option that is known here: leave it out")

    def request(self) -> CurlRequest:
        """What all of it makes."""
        if len(self.urls) != 1:
            raise CurlInvalid("there is no URL" if not self.urls else "there is more than one URL")
        url, has_user = _clean(self.urls[0])
        body = "".join(self.json) if self.json else "&".join(self.data) if self.data else None
        if self.implied == "GET" and self.data:
            url, body = _with_query(url, "&".join(self.data)), None
        method = self.method or self.implied or ("POST" if body is not None or self.parts else "GET")
        proofs = [*self.proofs, "the user and password in the URL"] if has_user else self.proofs
        return CurlRequest(
            method=method.upper(),
            url=url,
            headers=tuple(self.headers),
            body=body,
            parts=tuple(self.parts),
            proofs=tuple(dict.fromkeys(proofs)),
        )

    def _url(self, _: str, value: str) -> None:
        self.urls.append(value)

    def _method(self, _: str, value: str) -> None:
        self.method = value

    def _header(self, _: str, value: str) -> None:
        name, colon, text = value.partition(":")
        if name.strip().lower() in _PROOF_HEADERS:
            self.proofs.append(f"the header {name.strip().title()}")
        elif colon and text.strip():  # "Name:" alone takes a header away that curl would set
            self.headers.append((name.strip(), text.strip()))

    def _data(self, option: str, value: str) -> None:
        if value.startswith("@"):
            self._refused(option, value)
        self.data.append(value)

    def _raw(self, _: str, value: str) -> None:
        self.data.append(value)

    def _encoded(self, option: str, value: str) -> None:
        name, equals, text = value.partition("=")
        if not equals and "@" in value:
            self._refused(option, value)
        encoded = quote(text if equals else value, safe="")
        self.data.append(f"{name}={encoded}" if equals and name else encoded)

    def _json(self, option: str, value: str) -> None:
        if value.startswith("@"):
            self._refused(option, value)
        self.json.append(value)
        if not any(name.lower() == "content-type" for name, _ in self.headers):
            self.headers.append(("Content-Type", "application/json"))

    def _part(self, option: str, value: str) -> None:
        name, equals, text = value.partition("=")
        if not equals or text.startswith("<"):
            self._refused(option, value)
        is_file = text.startswith("@")
        self.parts.append(Part(name, text.removeprefix("@").partition(";")[0] if is_file else text, is_file))

    def _text_part(self, _: str, value: str) -> None:
        name, _equals, text = value.partition("=")
        self.parts.append(Part(name, text, is_file=False))

    def _proof(self, option: str, _: str) -> None:
        self.proofs.append(f"the value of {option}")

    def _nothing(self, _: str, __: str) -> None:
        """How curl behaves is nothing of the request."""

    def _refused(self, option: str, _: str) -> None:
        raise CurlInvalid(f"{option} names a file or a place, and none is read here: write what it holds instead")


def _clean(url: str) -> tuple[str, bool]:
    """The URL without fragment and user, and whether there was a user. Without a scheme, ``https`` is meant."""
    text = url if "://" in url else f"https://{url}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise CurlInvalid("the URL cannot be read") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise CurlInvalid("the URL is not one of http or https")
    name = f"[{host}]" if ":" in host else host
    place = name if port is None else f"{name}:{port}"
    return urlunsplit((parts.scheme, place, parts.path, parts.query, "")), parts.username is not None


def _with_query(url: str, more: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, more)))))
