"""What the API answered (noun), and how its body is read (rule)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from remit.downstream.position import FIRST, Position
from remit.errors import ResponseUnusable

_MEDIA_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}")
_CHARSET: Final = re.compile(r';\s*charset\s*=\s*"?([A-Za-z0-9_.:-]{1,32})"?', re.IGNORECASE)
_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "utf-16"})
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A whole answer; header names in lower case. The body is shown nowhere.

    Where it is one page of many, it is the one at ``start``, and ``more`` are those that follow and were fetched too;
    ``broken_off`` is the error code for the one that could not be had, if there is one.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    start: Position = FIRST
    more: tuple[ApiResponse, ...] = field(default=(), repr=False)
    broken_off: str = ""

    @classmethod
    def made_here(cls, content: bytes) -> ApiResponse:
        """An answer in JSON that no API gave: what a tool's code returned, say."""
        return cls(200, {"content-type": "application/json"}, content)

    @property
    def ok(self) -> bool:
        """Whether its status is one of success."""
        return 200 <= self.status < 300

    @property
    def media_type(self) -> str:
        """``type/subtype`` in lower case; empty where there is none that can be read."""
        media = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return media if _MEDIA_TYPE.fullmatch(media) else ""


def read_content(response: ApiResponse) -> Any:
    """The body as plain data: JSON, or a text without control characters; ``None`` for an empty one.

    Raises ``ResponseUnusable`` for any other kind, and for what only claims to be JSON.
    """
    if not response.body:
        return None
    media = response.media_type
    if media == "application/json" or media.endswith("+json"):
        return _json(response)
    if media.startswith("text/"):
        return _CONTROLS.sub("", response.body.decode(_charset(response), "replace").replace("\r\n", "\n"))
    raise ResponseUnusable(
        f"the API answered with {media or 'no content type'}, expected JSON or text",
        status=response.status,
        hint="use an operation that answers JSON",
    )


def _charset(response: ApiResponse) -> str:
    match = _CHARSET.search(response.headers.get("content-type", ""))
    charset = match[1].lower() if match else "utf-8"
    if charset not in _CHARSETS:
        raise ResponseUnusable(f'the API answered in the unknown charset "{charset}"', status=response.status)
    return charset


def _json(response: ApiResponse) -> Any:
    try:
        text = response.body.decode(_charset(response)).removeprefix("\ufeff")
        data = json.loads(text, parse_constant=_refuse_constant)
        if "\\ud" in text or "\\uD" in text:  # half characters are legal JSON, but nothing can carry them
            data = json.loads(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise ResponseUnusable(
            "the API's answer is not valid JSON", status=response.status, detail=type(error).__name__
        ) from None
    return data


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
