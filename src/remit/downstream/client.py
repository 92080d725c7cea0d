"""Sends requests to the APIs (door): one client for all of them, no redirects, no cookies, bounded in size and time.

A token goes only to the origin its tool file names. A request that acts only once is sent again only where no
connection came about.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from typing import Final

import httpx

from remit.catalog.plan import RetryPlan
from remit.catalog.tool import Tool
from remit.catalog.upstream import origin_of
from remit.credential import Credential
from remit.downstream.request import ApiRequest
from remit.downstream.response import ApiResponse
from remit.errors import DownstreamError, DownstreamUnavailable, RequestUnusable, ResponseUnusable
from remit.web import USER_AGENT, AnswerTooLarge, http_client, nothing_was_sent, send_bounded

_CONNECT_SECONDS: Final = 5.0
_MAX_PAUSE: Final = 5.0

#: Why there is no answer: a value, because it may be no reason to give up.
_Fault = httpx.HTTPError | TimeoutError | AnswerTooLarge


class ApiClient:
    """One per process. ``jitter`` gives numbers from 0 to 1."""

    def __init__(
        self,
        client: httpx.AsyncClient | None = None,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client or http_client()
        self._jitter = jitter

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def send(self, request: ApiRequest, token: Credential | None, tool: Tool, *, call_id: str) -> ApiResponse:
        """Send within the tool's timeout, retries included, and read the whole answer, whatever its status.

        Raises ``DownstreamUnavailable`` (which may have acted all the same), ``ResponseUnusable`` when the answer
        is too long or repeats the token, and ``RequestUnusable`` rather than send a token where it does not belong.
        """
        _check_destination(request, token, tool)
        headers = _headers(request, token, tool, call_id)
        try:
            async with asyncio.timeout(tool.timeout):
                response = await self._send_with_retries(request, headers, tool)
        except TimeoutError as error:
            raise _failure(tool, error) from None
        _check_token_stays(response, token, tool)
        return response

    async def _send_with_retries(self, request: ApiRequest, headers: list[tuple[str, str]], tool: Tool) -> ApiResponse:
        retry, clock = tool.plan.retry, asyncio.get_running_loop().time
        deadline = clock() + tool.timeout
        for attempt in itertools.count(1):
            outcome = await self._attempt(
                request, headers, _attempt_seconds(request, tool), tool.limits.max_response_bytes
            )
            pause = self._pause(attempt, retry)
            spent = attempt >= retry.attempts or clock() + pause >= deadline
            if not spent and _may_repeat(outcome, request, retry):
                await asyncio.sleep(pause)
            elif isinstance(outcome, ApiResponse):
                return outcome
            else:
                raise _failure(tool, outcome) from outcome
        raise AssertionError("unreachable")

    async def _attempt(
        self, request: ApiRequest, headers: list[tuple[str, str]], seconds: float, max_bytes: int
    ) -> ApiResponse | _Fault:
        times = {"connect": min(_CONNECT_SECONDS, seconds), "read": seconds, "write": seconds, "pool": seconds}
        outgoing = httpx.Request(
            request.method, request.url, headers=headers, content=request.body, extensions={"timeout": times}
        )
        try:
            answer = await send_bounded(self._client, outgoing, seconds=seconds, max_bytes=max_bytes)
        except AnswerTooLarge as error:
            refused = ApiResponse(error.status, error.headers, b"")  # which may be a page as long as it likes
            return error if refused.ok else refused
        except (httpx.HTTPError, TimeoutError) as error:
            return error
        return ApiResponse(answer.status, answer.headers, answer.body)

    def _pause(self, attempt: int, retry: RetryPlan) -> float:
        """Seconds before the next attempt: doubling, at most ``_MAX_PAUSE``, half of it by chance."""
        longest = min(retry.backoff * float(2 ** (attempt - 1)), _MAX_PAUSE)
        return longest * (0.5 + self._jitter() / 2)


def _check_destination(request: ApiRequest, token: Credential | None, tool: Tool) -> None:
    """The last look before a token leaves: to the tool's own origin, and only where the tool takes one."""
    if not request.url.startswith(f"{tool.plan.base_url}/") or origin_of(request.url) != tool.plan.origin:
        raise RequestUnusable("the request leads away from the tool's API", detail=f"expected {tool.plan.origin}")
    if (token is None) != (tool.auth.type == "none"):
        raise RequestUnusable("the request does not carry the token its tool names")


def _check_token_stays(response: ApiResponse, token: Credential | None, tool: Tool) -> None:
    """An API that echoes requests must not hand its token to the agent. Does NOT see through an encoding of it."""
    if token is not None and token.reveal().encode() in response.body:
        raise ResponseUnusable(
            f"the answer of {tool.upstream} repeats the token it was called with, so it is withheld",
            status=response.status,
            detail=f"{tool.method} {tool.path}: the body of the answer holds the delegated token",
            hint=f"have {tool.upstream} keep its requests' headers to itself",
        )


def _headers(request: ApiRequest, token: Credential | None, tool: Tool, call_id: str) -> list[tuple[str, str]]:
    names = {name.lower() for name, _ in request.headers}
    headers = [("User-Agent", USER_AGENT), ("Accept-Encoding", "gzip"), ("X-Request-ID", call_id)]
    if "accept" not in names:
        headers.append(("Accept", ", ".join((*sorted(tool.response.files), "application/json"))))
    if token is not None:
        headers.append(("Authorization", f"Bearer {token.reveal()}"))  # read by the API alone
    return [*headers, *request.headers]


def _attempt_seconds(request: ApiRequest, tool: Tool) -> float:
    """How long one attempt may take: its share where a slow one is to be repeated, all of it otherwise."""
    retry = tool.plan.retry
    shares = retry.attempts if request.idempotent and "timeout" in retry.when else 1
    return tool.timeout / shares


def _may_repeat(outcome: ApiResponse | _Fault, request: ApiRequest, retry: RetryPlan) -> bool:
    if isinstance(outcome, httpx.HTTPError) and nothing_was_sent(outcome):
        return "connect" in retry.when
    if not request.idempotent or isinstance(outcome, AnswerTooLarge):
        return False
    if isinstance(outcome, ApiResponse):
        return outcome.status in retry.when
    return ("timeout" if _is_timeout(outcome) else "connect") in retry.when


def _is_timeout(fault: _Fault) -> bool:
    return isinstance(fault, TimeoutError | httpx.TimeoutException)


def _failure(tool: Tool, error: _Fault) -> DownstreamError:
    detail = f"{tool.method} {tool.path}: {type(error).__name__}: {error}"[:300]
    if isinstance(error, AnswerTooLarge):
        return ResponseUnusable(
            f"the answer of {tool.upstream} is too long; ask for less",
            status=error.status,
            detail=detail,
            hint=f"narrow the request, or raise limits.maxResponseBytes in {tool.where}",
        )
    if isinstance(error, httpx.HTTPError) and nothing_was_sent(error):
        hint = f"check that {tool.plan.origin} is reachable from here and its certificate is trusted"
        return DownstreamUnavailable(f"{tool.upstream} cannot be reached", detail=detail, hint=hint)
    if _is_timeout(error):
        said = f"{tool.upstream} did not answer within {tool.timeout:g} s; it may have acted all the same"
        return DownstreamUnavailable(
            said, detail=detail, hint=f"raise timeout in {tool.where}, or find out why it is slow"
        )
    return DownstreamUnavailable(
        f"the connection to {tool.upstream} broke; it may have acted all the same", detail=detail
    )
