"""Door: one bounded HTTP request to an authorization server, with every failure named.

Texts of the other side go into ``detail`` only, cut short.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from remit.errors import SignInFailed, SignInUnavailable
from remit.tokens import strict_json
from remit.web import Answer, AnswerTooLarge, HttpClient, http_client, send_bounded

_SECONDS: Final = 10.0
_MAX_ANSWER_BYTES: Final = 64 * 1024
_MAX_DESCRIPTION: Final = 200
_ERROR_CODE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


@asynccontextmanager
async def connected() -> AsyncIterator[HttpClient]:
    """A client for a handful of requests."""
    http = http_client(total=_SECONDS, connections=4)
    try:
        yield http
    finally:
        await http.aclose()


async def send(http: HttpClient, request: httpx.Request) -> Answer:
    """The answer, of any status but 429 and 5xx. Raises ``SignInUnavailable`` or ``SignInFailed``."""
    try:
        answer = await send_bounded(http, request, seconds=_SECONDS, max_bytes=_MAX_ANSWER_BYTES)
    except TimeoutError as error:
        raise _unavailable(f"no answer within {_SECONDS:g} seconds") from error
    except httpx.HTTPError as error:
        raise _unavailable(type(error.__cause__ or error).__name__) from error
    except AnswerTooLarge as error:
        raise SignInFailed("the authorization server's answer is too long", detail=str(error)) from error
    if answer.status >= 500 or answer.status == 429:
        raise _unavailable(f"status {answer.status}")
    return answer


def json_object(answer: Answer) -> dict[str, Any]:
    """The JSON object that ``answer`` carries. Raises ``SignInFailed``."""
    try:
        document = strict_json.loads(answer.body)
    except strict_json.NotStrict as error:
        raise SignInFailed(
            "the authorization server answered with something else than JSON",
            detail=f"status {answer.status}: {error}",
            hint="check the issuer's address: a proxy or a web page may have answered",
        ) from error
    if not isinstance(document, dict):
        raise SignInFailed("the authorization server answered with something else than a JSON object")
    return document


def refused(error: object, description: object, *, detail: str = "") -> SignInFailed:
    """The refusal that came as ``error`` and ``error_description`` (RFC 6749 §4.1.2.1 and §5.2)."""
    if not isinstance(error, str) or not _ERROR_CODE.fullmatch(error):
        return SignInFailed("the authorization server refused without an OAuth error code", detail=detail)
    told = _printable(description) if isinstance(description, str) else ""
    return SignInFailed(
        f'the authorization server refused with "{error}"',
        error=error,
        detail=": ".join(filter(None, (detail, told))),
    )


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:_MAX_DESCRIPTION])


def _unavailable(detail: str) -> SignInUnavailable:
    return SignInUnavailable(
        "the authorization server cannot be reached, so the sign-in cannot go on now",
        detail=detail,
        hint="check the network and the address of the issuer, and try again",
    )
