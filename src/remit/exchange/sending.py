"""Door: one bounded HTTP request to a token service, with every failure named."""

from __future__ import annotations

import asyncio
from typing import Final

import httpx

from remit.errors import ExchangeInvalid, ExchangeUnavailable
from remit.web import Answer, AnswerTooLarge, nothing_was_sent, send_bounded

#: No answer of a token service is longer than this.
MAX_ANSWER_BYTES: Final = 64 * 1024


async def send(http: httpx.AsyncClient, request: httpx.Request, seconds: float) -> Answer:
    """The answer, of any status. Asked once more if no connection came about; all within ``seconds``.

    Raises ``ExchangeUnavailable`` or ``ExchangeInvalid``.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _send(http, request, seconds)
    except TimeoutError as error:
        raise ExchangeUnavailable("the token service did not answer in time", detail=f"{seconds:g} seconds") from error
    except httpx.HTTPError as error:
        cause = type(error.__cause__ or error).__name__
        raise ExchangeUnavailable("the token service cannot be reached", detail=cause) from error
    except AnswerTooLarge as error:
        raise ExchangeInvalid("the token service's answer is too long", detail=str(error)) from error


async def _send(http: httpx.AsyncClient, request: httpx.Request, seconds: float) -> Answer:
    try:
        return await send_bounded(http, request, seconds=seconds, max_bytes=MAX_ANSWER_BYTES)
    except httpx.HTTPError as error:
        if not nothing_was_sent(error):
            raise
    return await send_bounded(http, request, seconds=seconds, max_bytes=MAX_ANSWER_BYTES)
