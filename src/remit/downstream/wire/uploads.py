"""An upload, as an argument holds it, → the file's bytes, name and media type (rule).

It is ``{data | text, filename, mediaType}`` (``remit.catalog.upload``), or its base64 text alone.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Any, Final

from remit.catalog.media import in_range, is_media_type
from remit.catalog.plan import Encoding
from remit.errors import RequestUnusable

_URL_SAFE: Final = str.maketrans("-_", "+/", " \r\n\t")
_FILE_NAME: Final = re.compile(r'[^\x00-\x1f\x7f"/\\]{1,255}')
_UNKNOWN: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it is sent. ``file_name`` is empty where none was given."""

    content: bytes = field(repr=False)
    media_type: str
    file_name: str


def read_upload(name: str, value: Any, encoding: Encoding, *, max_bytes: int) -> Upload:
    """The upload of argument ``name``. Raises ``RequestUnusable``: not one, not base64, too long, of no allowed type."""
    upload = {"data": value} if isinstance(value, str) else value
    if not isinstance(upload, dict) or ("data" in upload) == ("text" in upload):
        raise RequestUnusable(f'"{name[:80]}" must be a file: data (base64) or text, filename, mediaType')
    text = upload["data"] if "data" in upload else upload["text"]
    if not isinstance(text, str) or len(text) > 2 * max_bytes + 4:
        raise RequestUnusable(f'the file "{name[:80]}" is no text, or too long')
    content = _decoded(name, text) if "data" in upload else text.encode()
    return Upload(content, _media_type(name, upload, encoding), _file_name(name, upload))


def _decoded(name: str, data: str) -> bytes:
    """Base64 in either alphabet (RFC 4648 §4, §5), padded or not, over any number of lines."""
    plain = data.translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise RequestUnusable(f'the data of "{name[:80]}" is not base64') from None


def _media_type(name: str, upload: dict[str, Any], encoding: Encoding) -> str:
    """The one given, where the API takes it; else the first that the API names in full."""
    given = upload.get("mediaType")
    if given is None:
        concrete = [media_type for media_type in encoding.media_types if "*" not in media_type]
        return concrete[0] if concrete else "text/plain; charset=utf-8" if "text" in upload else _UNKNOWN
    if not isinstance(given, str) or not is_media_type(given):
        raise RequestUnusable(f'the mediaType of "{name[:80]}" is none')
    if encoding.media_types and not any(in_range(given, allowed) for allowed in encoding.media_types):
        raise RequestUnusable(f'the mediaType of "{name[:80]}" must be {" or ".join(encoding.media_types)[:200]}')
    return given


def _file_name(name: str, upload: dict[str, Any]) -> str:
    given = upload.get("filename", "")
    if given in ("", None):
        return ""
    if not isinstance(given, str) or not _FILE_NAME.fullmatch(given) or given in {".", ".."}:
        raise RequestUnusable(f'the filename of "{name[:80]}" is no name of a file')
    return given
