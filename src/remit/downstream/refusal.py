"""An error status → what the agent, the trail and the operator are told (rule)."""

from __future__ import annotations

import math
import re
from email.utils import parsedate_to_datetime
from typing import Any, Final

from remit.catalog.expression import Expression, ExpressionFailed
from remit.catalog.plan import Placeholder, Sentence
from remit.catalog.tool import Tool
from remit.downstream.response import ApiResponse, read_content
from remit.downstream.words import UNSAID, code_in, message_in, readable
from remit.errors import DownstreamError, DownstreamFailed, DownstreamRefused, ResponseUnusable

_MAX_WAIT: Final = 86_400
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
#: The OAuth error of a challenge (RFC 6750 §3): the one word that tells why a token was not good enough.
_CHALLENGE_ERROR: Final = re.compile(r'\berror="([a-z_]{1,40})"')

_SENTENCES: Final = {
    400: "does not accept this request",
    401: "did not accept the token of this call",
    403: "does not let this user do this",
    404: "has nothing under these arguments",
    409: "says that this conflicts with the present state",
    412: "says that this conflicts with the present state",
    422: "cannot do this with these arguments",
    429: "asks for fewer calls; try again later",
    503: "is not available now; try again later",
}
_BY_CLASS: Final = {3: "answered with a redirect, which is not followed", 4: "refused the request", 5: "failed"}


def quotes(tool: Tool, status: int) -> bool:
    """Whether the tool file puts values of the body into the error for this status."""
    sentence = _sentence(tool, status)
    return sentence is not None and sentence.quotes


def refusal(tool: Tool, response: ApiResponse, *, quote: bool = True) -> DownstreamError:
    """The error for a status that is no success. Nothing of the body is in it but what the tool file names.

    ``quote``: whether that may be; otherwise it is told in our own words.
    """
    status = response.status
    kind = DownstreamRefused if 300 <= status < 500 else DownstreamFailed
    sentence = _sentence(tool, status) if quote else None
    return kind(
        _render(sentence, response) if sentence else _default(tool, status),
        status=status,
        retry_after=_retry_after(response),
        detail=_detail(tool, response),
        hint=_hint(tool, status),
    )


def _sentence(tool: Tool, status: int) -> Sentence | None:
    errors = tool.response.errors
    return errors.get(str(status)) or errors.get(f"{status // 100}xx")


def _default(tool: Tool, status: int) -> str:
    said = _SENTENCES.get(status) or _BY_CLASS.get(status // 100, "answered what HTTP does not know")
    return f"{tool.upstream} {said} ({status})"


def _render(sentence: Sentence, response: ApiResponse) -> str:
    body: Any = None
    if sentence.quotes:
        try:
            body = read_content(response)
        except ResponseUnusable:
            body = None
    return "".join(_part(part, response.status, body) for part in sentence.parts)


def _part(part: str | Placeholder | Expression, status: int, body: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Placeholder):
        return {"status": lambda _body: str(status), "message": message_in, "code": code_in}[part.name](body)
    try:
        return readable(part.search(body))
    except (ExpressionFailed, RecursionError):
        return UNSAID


def _retry_after(response: ApiResponse) -> int:
    """Seconds the API asks to wait (RFC 9110 §10.2.3), at most a day; 0 where it does not say so in a way that can be read.

    A date is measured against the answer's own ``Date``, so that no two clocks are compared.
    """
    said = response.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(said):
        return min(int(said), _MAX_WAIT)
    try:
        wait = parsedate_to_datetime(said) - parsedate_to_datetime(response.headers.get("date", ""))
    except (ValueError, TypeError, OverflowError):
        return 0
    return min(max(0, math.ceil(wait.total_seconds())), _MAX_WAIT)


def _detail(tool: Tool, response: ApiResponse) -> str:
    kind = response.media_type or "no content type"
    said = f"{tool.method} {tool.path} answered {response.status}, {len(response.body)} bytes of {kind}"
    match = _CHALLENGE_ERROR.search(response.headers.get("www-authenticate", "")[:2000])
    return f"{said}, challenge error {match[1]}" if match else said


def _hint(tool: Tool, status: int) -> str:
    if status == 401:
        target = tool.auth.audience or tool.auth.resource
        return f"check that {tool.upstream} trusts the token service and is the audience {target}"
    if status == 403:
        return f"check that the scopes {' '.join(tool.auth.scopes) or '(none)'} and the user's rights suffice"
    if 300 <= status < 400:
        return f"put the final address into baseUrl of {tool.upstream}"
    return ""
