"""A body's value → its bytes and its Content-Type (rule)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from remit.catalog.plan import Body, Field
from remit.downstream.wire.styles import content_of, pairs_of
from remit.downstream.wire.text import FORM, PLAIN, RESERVED_QUERY, encode_json, plain_text
from remit.downstream.wire.uploads import read_upload
from remit.errors import RequestUnusable

Written = tuple[bytes, str]

_PART_NAME: Final = re.compile(r'[^\x00-\x1f\x7f"\\]{1,512}')
_CONTENT: Final = frozenset({"json", "content", "text"})


def write_body(body: Body, value: Any, max_bytes: int) -> Written:
    """The bytes and their Content-Type. Raises ``RequestUnusable`` for what cannot be sent, and for too much of it."""
    content, media_type = _WRITERS[body.kind](body, value, max_bytes)
    if len(content) > max_bytes:
        raise RequestUnusable(f"the arguments make a body of more than {max_bytes} bytes")
    return content, media_type


def _write_json(body: Body, value: Any, _max_bytes: int) -> Written:
    return encode_json(value).encode(), body.media_type


def _write_text(body: Body, value: Any, _max_bytes: int) -> Written:
    text = plain_text("the body", value)
    try:
        return text.encode(body.charset), body.media_type
    except UnicodeEncodeError:
        raise RequestUnusable(f"the body holds characters that cannot be written in {body.charset}") from None


def _write_binary(body: Body, value: Any, max_bytes: int) -> Written:
    upload = read_upload("the body", value, body.rest, max_bytes=max_bytes)
    return upload.content, upload.media_type


# ── forms ──


def _write_form(body: Body, value: Any, _max_bytes: int) -> Written:
    pairs = (
        pair
        for field, member in _fields(body, value)
        for pair in pairs_of(field, member, RESERVED_QUERY if field.encoding.allow_reserved else FORM)
    )
    return "&".join(f"{name}={text}" for name, text in pairs).encode("ascii"), body.media_type


def _fields(body: Body, value: Any) -> Iterator[tuple[Field, Any]]:
    """The fields that the plan names, in its order, then the others."""
    if not isinstance(value, dict):
        raise RequestUnusable("the body must be an object: a form has named fields")
    for name, field in body.fields.items():
        if name in value:
            yield field, value[name]
    for name, member in value.items():
        if name not in body.fields:
            yield Field(name, body.rest, PLAIN.name(name) if body.kind == "multipart" else FORM.name(name)), member


# ── multipart (RFC 7578) ──


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    content: bytes
    media_type: str
    file_name: str = ""


def _write_multipart(body: Body, value: Any, max_bytes: int) -> Written:
    chunks = [
        f"{_head(part)}{_more(body, field)}\r\n".encode() + part.content
        for field, member in _fields(body, value)
        for part in _parts(field, member, max_bytes)
    ]
    # No text holds its own digest, so the boundary stands in none of the parts; and it is the same at each attempt.
    boundary = hashlib.sha256(b"\r\n".join(chunks)).hexdigest()[:48]
    opening = f"--{boundary}\r\n".encode()
    content = b"".join(opening + chunk + b"\r\n" for chunk in chunks) + f"--{boundary}--\r\n".encode()
    return content, f"{body.media_type}; boundary={boundary}"


def _head(part: _Part) -> str:
    """The headers of a part. Names that would need escaping are refused: servers do not agree on how to read it."""
    if not _PART_NAME.fullmatch(part.name):
        raise RequestUnusable("a name in the body is empty, too long, or has a quote or a control character")
    file = f'; filename="{part.file_name}"' if part.file_name else ""
    return (
        f'Content-Disposition: form-data; name="{part.name}"{file}\r\n'  # as it is, in UTF-8 (RFC 7578 §4.2, §5.1)
        f"Content-Type: {part.media_type}\r\n"
    )


def _more(body: Body, field: Field) -> str:
    return "".join(f"{name}: {text}\r\n" for name, text in body.headers.get(field.name, ()))


def _parts(field: Field, value: Any, max_bytes: int) -> Iterator[_Part]:
    """A part for each item of a list, as the encoding says; none for ``null``."""
    encoding = field.encoding
    if encoding.style not in _CONTENT and encoding.style != "file":
        for name, text in pairs_of(field, value, PLAIN):
            yield _Part(name, text.encode(), _plain(text))
        return
    for item in value if encoding.explode and isinstance(value, list) else [value]:
        if item is None:
            continue
        if encoding.style == "file":
            upload = read_upload(field.name, item, encoding, max_bytes=max_bytes)
            yield _Part(field.wire, upload.content, upload.media_type, upload.file_name or _file_name(field))
        else:
            text = content_of(field, item, PLAIN)
            yield _Part(field.wire, text.encode(), _media_type(field, item, text))


def _file_name(field: Field) -> str:
    """Servers know a file by its having a name."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", field.wire)[:100].lstrip(".") or "file"


def _media_type(field: Field, value: Any, text: str) -> str:
    if field.encoding.media_types:
        return field.encoding.media_types[0]
    return "application/json" if isinstance(value, list | dict) else _plain(text)


def _plain(text: str) -> str:
    return "text/plain" if text.isascii() else "text/plain; charset=utf-8"


_WRITERS: Final[Mapping[str, Callable[[Body, Any, int], Written]]] = {
    "json": _write_json,
    "form": _write_form,
    "multipart": _write_multipart,
    "text": _write_text,
    "binary": _write_binary,
}
