"""Door: a bounded multipart form with one file in it, and the count of a warehouse as such a file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from remit.demo.api import ApiProblem, bounded_body

_MAX_FIELDS: Final = 8
_MAX_LINES: Final = 500
_PIECES: Final = re.compile(r"[0-9]{1,6}", re.ASCII)
_HEADER: Final = ["sku", "quantity"]


@dataclass(frozen=True, slots=True)
class Form:
    """The fields that hold text, and what the one file holds."""

    fields: Mapping[str, str]
    file: bytes


async def form_of(request: Request, fields: Collection[str], file: str) -> Form:
    """Exactly these fields and this file. Problems: 415 no multipart, 413 too long, 400 broken, 422 other parts."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        raise ApiProblem(415, "unsupported_media_type", "the body must be multipart/form-data")
    form = await _parsed(request.headers, await bounded_body(request))
    try:
        parts = form.multi_items()
        if sorted(name for name, _ in parts) != sorted([*fields, file]):
            raise ApiProblem(422, "body_invalid", f"the form must have {', '.join([*fields, file])}, each once")
        texts = {name: value for name, value in parts if isinstance(value, str)}
        if set(texts) != set(fields):
            raise ApiProblem(422, "body_invalid", f"{file} must be a file, and nothing else may be one")
        (uploaded,) = (value for _, value in parts if not isinstance(value, str))
        return Form(texts, await uploaded.read())
    finally:
        await form.close()


async def _parsed(headers: Headers, body: bytes) -> FormData:
    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        return await MultiPartParser(headers, whole(), max_files=1, max_fields=_MAX_FIELDS).parse()
    except MultiPartException as error:
        raise ApiProblem(400, "body_malformed", "the body cannot be read: no multipart form") from error


def counted(file: bytes) -> dict[str, int]:
    """A CSV file of ``sku,quantity`` → pieces by article; 422 problems name the line."""
    try:
        lines = list(csv.reader(io.StringIO(file.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ApiProblem(422, "counts_invalid", "counts must be CSV in UTF-8") from error
    if not lines or lines[0] != _HEADER or not 1 < len(lines) <= _MAX_LINES + 1:
        raise ApiProblem(422, "counts_invalid", f"counts must be a line {','.join(_HEADER)} and 1 to {_MAX_LINES} more")
    pieces: dict[str, int] = {}
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(_HEADER) or not _PIECES.fullmatch(line[1]) or line[0] in pieces:
            raise ApiProblem(422, "counts_invalid", f"line {number} must be an article, once, and a number of pieces")
        pieces[line[0]] = int(line[1])
    return pieces
