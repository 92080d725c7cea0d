"""An API that is not there (door): it answers what an example says, through the client that calls real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx

from remit.catalog.tool import Tool
from remit.credential import Credential
from remit.downstream.client import ApiClient
from remit.downstream.paging import fetch
from remit.downstream.request import ApiRequest
from remit.downstream.response import ApiResponse
from remit.downstream.wire.text import encode_json

#: Nobody takes it; it only stands where a real one would.
_TOKEN = "a.token.of.no.use"


#: What says how a body stood on the wire; here it stands as it is.
_OF_THE_WIRE: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class _Content(httpx.AsyncByteStream):
    """A body that is read as one from the network is."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


@dataclass(frozen=True, slots=True)
class MockAnswer:
    """One answer. The body is JSON, or, beside another content type, a text as it is."""

    status: int
    headers: Mapping[str, str]
    body: Any

    def response(self) -> httpx.Response:
        """As it comes from the wire."""
        names = {name.lower(): value for name, value in self.headers.items() if name.lower() not in _OF_THE_WIRE}
        content = b"" if self.body is None else self._content(names.get("content-type", ""))
        if content:
            names.setdefault("content-type", "application/json")
        return httpx.Response(self.status, headers=names, stream=_Content(content))

    def _content(self, content_type: str) -> bytes:
        is_text = isinstance(self.body, str) and content_type and "json" not in content_type
        return (self.body if is_text else encode_json(self.body)).encode()


async def answer_of(request: ApiRequest, tool: Tool, answers: Sequence[MockAnswer]) -> tuple[ApiResponse, int]:
    """What the tool gets for the request when the API gives these answers, one after the other, and how many of them.

    Repeats are made as they would be, without the pauses, and further pages are asked for. When no answer is left the
    API cannot be reached. Raises leaves of ``DownstreamError``.
    """
    given = 0

    def give(asked: httpx.Request) -> httpx.Response:
        nonlocal given
        if given == len(answers):
            raise httpx.ConnectError("the example has no more answers", request=asked)
        given += 1
        return answers[given - 1].response()

    plan = replace(tool.plan, retry=replace(tool.plan.retry, backoff=0.0))
    token = None if tool.auth.type == "none" else Credential(_TOKEN)
    tool = replace(tool, plan=plan)
    client = ApiClient(httpx.AsyncClient(transport=httpx.MockTransport(give)))
    try:
        response = await fetch(client, request, token, tool, call_id="example", seen=lambda _request, _response: None)
    finally:
        await client.aclose()
    return response, given
