"""One request as somebody made it → a tool that makes such requests (rule): what varied becomes an argument.

What proves who is calling, and what looks like a secret, is no part of the tool and is told by name alone. A value that
looks random is an argument whose value is not kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from remit.catalog.curl import CurlInvalid, CurlRequest
from remit.catalog.lint_rules import DESTROYS, LISTS, UNFINISHED
from remit.catalog.lint_secrets import is_secret_name, looks_secret
from remit.catalog.sketch_schema import EXAMPLE, parsed, schema_of
from remit.catalog.upstream import is_header_text, may_set_header

_MAX_FIELDS: Final = 100
_VERSION: Final = re.compile(r"v\d+(\.\d+)*")
_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z0-9_.-]+)\}|:([A-Za-z_]\w*)|<([A-Za-z0-9_-]+)>|\$\{?([A-Za-z_]\w*)\}?")
_OPAQUE: Final = re.compile(r"(?=[A-Za-z_+/=-]*\d)(?=[0-9_+/=-]*[A-Za-z])[A-Za-z0-9_+/=-]{20,}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
#: A number; capitals and digits; or long with several digits. ``oauth2``, ``s3`` and ``v2`` are words.
_VARIES: Final = re.compile(r"\d+|(?=.*\d)(?=.*[A-Z])[A-Za-z0-9_.~-]+|(?=(.*\d){2})[A-Za-z0-9_.~-]{8,}")
_HAS_DIGIT: Final = re.compile(r"(?=.*\d)[A-Za-z0-9_.~-]+")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z_-]*")
_MEANT: Final = re.compile(r"[^A-Za-z0-9_]+")
#: What clients set by themselves.
_NOISE: Final = re.compile(
    r"accept-|user-agent$|referer$|origin$|host$|connection$|cache-control$|pragma$|dnt$|priority$|sec-|te$|upgrade"
    r"|content-length$|if-|x-requested-with$",
    re.IGNORECASE,
)
_KEY_HEADERS: Final = frozenset({"idempotency-key", "x-idempotency-key"})
_ENCODINGS: Final = {
    "application/merge-patch+json": "merge-patch",
    "application/json-patch+json": "json-patch",
    "application/x-www-form-urlencoded": "form",
    "application/xml": "xml",
    "text/xml": "xml",
}


@dataclass(frozen=True, slots=True)
class Sketch:
    """``tool`` as it is written in a tool file, the example's ``arguments``, and in words what was ``left_out``.

    ``base_url`` goes up to a version in the path: ``https://crm.example.com/v2``.
    """

    base_url: str
    tool: dict[str, Any]
    arguments: dict[str, Any] = field(repr=False)
    left_out: tuple[str, ...] = ()


def sketch(name: str, request: CurlRequest, base_url: str = "") -> Sketch:
    """A tool of that name. ``base_url`` where it is known already. Raises ``CurlInvalid``."""
    parts = urlsplit(request.url)
    base = base_url.rstrip("/") or _base(f"{parts.scheme}://{parts.netloc}", parts.path)
    whole = f"{parts.scheme}://{parts.netloc}{parts.path}"
    if not whole.startswith(f"{base}/") and whole != base:
        raise CurlInvalid(f"the URL is not below {base}")
    return _Sketcher(name, request).sketch(base, whole.removeprefix(base) or "/")


def _base(origin: str, path: str) -> str:
    segments = path.split("/")[1:]
    versions = [at for at, segment in enumerate(segments[:4]) if _VERSION.fullmatch(segment)]
    return "/".join([origin, *segments[: versions[-1] + 1]]) if versions else origin


@dataclass(slots=True)
class _Sketcher:
    """A tool as it comes about."""

    name: str
    curl: CurlRequest
    properties: dict[str, Any] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    arguments: dict[str, Any] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def sketch(self, base: str, path: str) -> Sketch:
        """Path, query, headers and body, in this order."""
        request: dict[str, Any] = {"method": self.curl.method, "path": self._path(path)}
        query = urlsplit(self.curl.url).query
        if query:
            fields, style = self._fields(query, "query")
            request |= {key: value for key, value in (("query", fields), ("style", style)) if value}
        request |= self._headers()
        request |= self._body()
        schema: dict[str, Any] = {"type": "object"}
        if self.required:
            schema["required"] = self.required
        if self.properties:
            schema["properties"] = self.properties
        left_out = (*self.curl.proofs, *self.left_out)
        return Sketch(base, self._tool(schema, request), self.arguments, tuple(dict.fromkeys(left_out)))

    def _tool(self, schema: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        title = _in_words(self.name)
        description = f"{UNFINISHED}: say what {self.name} does and when to use it."
        tool: dict[str, Any] = {"name": self.name, "title": title, "description": description}
        if self.properties:
            tool["input"] = schema
        tool["request"] = request
        reads = self.curl.method in {"GET", "HEAD"}
        if reads and LISTS.search(self.name):
            tool["response"] = {"maxBytes": "32KiB"}
        if not reads and self.curl.method != "DELETE" and DESTROYS.search(title):
            tool["annotations"] = {"destructive": True}
        return tool

    # ── path ──

    def _path(self, path: str) -> str:
        before = ""
        segments = []
        for segment in path.split("/")[1:]:
            segments.append(self._segment(segment, before))
            before = segment if segments[-1] == segment else ""
        return "/" + "/".join(segments)

    def _segment(self, segment: str, before: str) -> str:
        text = unquote(segment)
        if match := _PLACEHOLDER.fullmatch(text):
            name = next(filter(None, match.groups()))
            return f"{{{self._argument(name, 'path', {'type': 'string'}, EXAMPLE, required=True)}}}"
        if not _is_opaque(text) and not _varies(text, before):
            return segment
        value = EXAMPLE if _is_opaque(text) else parsed(text)
        name = f"{_singular(before)}_id" if _WORD.fullmatch(before) else "id"
        return f"{{{self._argument(name, 'path', schema_of(value), value, required=True)}}}"

    # ── query and forms ──

    def _fields(self, text: str, location: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Wire name → ``$argument``, and the style of those that are lists."""
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
        except ValueError:
            raise CurlInvalid(f"the {location} has more than {_MAX_FIELDS} fields") from None
        grouped: dict[str, list[str]] = {}
        for wire, text_value in pairs:
            grouped.setdefault(wire, []).append(text_value)
        fields: dict[str, Any] = {}
        styles: dict[str, str] = {}
        for wire, values in grouped.items():
            if self._is_secret(wire, location):
                continue
            is_list = len(values) > 1 or wire.endswith("[]")
            value: Any = [_shown(each) for each in values] if is_list else _shown(values[0])
            key = wire.removesuffix("[]") if is_list else wire
            name = self._argument(key, location, schema_of(value), value, required=location == "body")
            fields[key] = f"${name}"
            if wire.endswith("[]"):
                styles[name] = "brackets"
        return fields, styles

    def _is_secret(self, name: str, location: str) -> bool:
        """By its name; a value that looks like a secret under another name is an argument, and not kept."""
        if is_secret_name(name):
            self.left_out.append(f"{name} in the {location}")
        return is_secret_name(name)

    # ── headers ──

    def _headers(self) -> dict[str, Any]:
        kept: dict[str, str] = {}
        settings: dict[str, Any] = {}
        for name, value in self.curl.headers:
            folded = name.lower()
            if folded in _KEY_HEADERS:
                settings["idempotencyKey"] = "auto"
                if folded != "idempotency-key":
                    settings["idempotencyHeader"] = name
            elif folded == "content-type" or _NOISE.match(name) or (folded == "accept" and _is_plain(value)):
                continue
            elif is_secret_name(name) or _is_opaque(value) or not may_set_header(name) or not is_header_text(value):
                self.left_out.append(f"the header {name}")
            else:
                kept[name] = f"${value}" if value.startswith("$") else value
        return {**({"headers": kept} if kept else {}), **settings}

    # ── body ──

    def _body(self) -> dict[str, Any]:
        if self.curl.parts:
            return self._parts()
        text = self.curl.body
        if text is None:
            return {}
        media = self.curl.header("content-type")
        plain = media.partition(";")[0].strip().lower()
        if plain.endswith("json") or (not plain and text.lstrip()[:1] in {"{", "["}):
            return {"body": self._json(text), **_encoding(plain, media, "json")}
        if plain in {"", "application/x-www-form-urlencoded"}:
            fields, style = self._fields(text, "body")
            return {"encoding": "form", "body": fields, **({"style": style} if style else {})} if fields else {}
        kind = _ENCODINGS.get(plain, "text")
        name = self._argument(
            "document" if kind == "xml" else "text", "body", {"type": "string"}, EXAMPLE, required=True
        )
        return {"body": f"${name}", **_encoding(plain, media, kind)}

    def _json(self, text: str) -> Any:
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            raise CurlInvalid("the body is not the JSON that it claims to be") from None
        document = self._without_secrets(document)
        if not isinstance(document, dict):
            return f"${self._argument('body', 'body', schema_of(document), document, required=True)}"
        needed = self.curl.method != "PATCH"
        return {
            key: f"${self._argument(key, 'body', schema_of(value), value, required=needed)}"
            for key, value in document.items()
        }

    def _without_secrets(self, value: Any) -> Any:
        """The same without members that hold secrets; values that look like one are not repeated."""
        if isinstance(value, dict):
            for name in filter(is_secret_name, value):
                self.left_out.append(f"{name} in the body")
            return {name: self._without_secrets(item) for name, item in value.items() if not is_secret_name(name)}
        if isinstance(value, list):
            return [self._without_secrets(item) for item in value[:3]]
        return _shown(value, as_text=True) if isinstance(value, str) else value

    def _parts(self) -> dict[str, Any]:
        body: dict[str, str] = {}
        uploads: dict[str, list[str]] = {}
        for part in self.curl.parts:
            if not part.is_file and self._is_secret(part.name, "form"):
                continue
            value: Any = {"filename": re.split(r"[/\\]", part.value)[-1], "text": EXAMPLE} if part.is_file else None
            schema = {} if part.is_file else schema_of(_shown(part.value))
            shown = value if part.is_file else _shown(part.value)
            name = self._argument(part.name, "body", schema, shown, required=True)
            body[part.name] = f"${name}"
            if part.is_file:
                uploads[name] = []
        return {"encoding": "multipart", "body": body, **({"uploads": uploads} if uploads else {})}

    # ── arguments ──

    def _argument(self, wire: str, location: str, schema: Mapping[str, Any], value: Any, *, required: bool) -> str:
        """A new argument for what is called ``wire`` there. Its name is one that models take."""
        name = _MEANT.sub("_", wire).strip("_")[:48] or location
        for other in (f"{name}_{location}", *(f"{name}_{location}_{at}" for at in range(2, _MAX_FIELDS))):
            if name not in self.properties:
                break
            name = other
        self.properties[name] = {**schema, "description": _in_words(name)}
        if required:
            self.required.append(name)
        if required or value != EXAMPLE:
            self.arguments[name] = value
        return name


def _encoding(plain: str, media: str, kind: str) -> dict[str, Any]:
    """The encoding, and the media type where the encoding's own is another one."""
    encoding = _ENCODINGS.get(plain, kind)
    own = {"json": {"", "application/json"}, "text": {"text/plain"}}.get(encoding, {plain} - {"text/xml"})
    return {
        **({"encoding": encoding} if encoding != "json" else {}),
        **({"mediaType": media} if plain not in own else {}),
    }


def _is_opaque(text: str) -> bool:
    """Whether it may be a secret: more than lint says of a file, where it would be noise."""
    return looks_secret(text) or (bool(_OPAQUE.search(text)) and not _UUID.fullmatch(text))


def _shown(text: str, *, as_text: bool = False) -> Any:
    """A value as it may stand in an example: not one that is long, empty, looks like a secret or is a shell's variable."""
    if not text or len(text) > 200 or _is_opaque(text) or _PLACEHOLDER.fullmatch(text) or not text.isprintable():
        return EXAMPLE
    return text if as_text else parsed(text)


def _is_plain(accept: str) -> bool:
    return "*/*" in accept or accept == "application/json"


def _varies(segment: str, before: str) -> bool:
    """Whether a segment of a path names one thing of many: by its looks, or because ``before`` it stands ``customers``."""
    if len(segment) > 200 or _VERSION.fullmatch(segment):
        return False
    return bool(_VARIES.fullmatch(segment) or (before.endswith("s") and _HAS_DIGIT.fullmatch(segment)))


def _singular(word: str) -> str:
    """``customers`` → ``customer``; English, and good enough for a name that somebody reads before it is used."""
    folded = _MEANT.sub("_", word.lower())
    for ending, singular in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ss", "ss"), ("s", "")):
        if folded.endswith(ending) and len(folded) > len(ending) + 1:
            return folded.removesuffix(ending) + singular
    return folded


def _in_words(name: str) -> str:
    """``customer_id`` and ``customerId`` → ``Customer id``."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ").split()
    text = " ".join(word if word.isupper() else word.lower() for word in words)
    return text[:1].upper() + text[1:]
