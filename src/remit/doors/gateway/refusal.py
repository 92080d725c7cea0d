"""Rule: what a refused request is answered: ``{"error", "message", "audit_id"}`` as JSON, and challenges.

Of an error the caller sees ``code``, ``message`` and the audit id; ``detail`` and ``hint`` are the operator's. What is
hidden from a caller is answered like what is not there, to the byte but for the audit id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import structlog

from remit.doors.challenge import Challenge, challenge_for, step_up_for
from remit.errors import (
    AuditError,
    AuthenticationError,
    AuthorizationError,
    DownstreamError,
    DownstreamRefused,
    DownstreamTimeout,
    ExchangeError,
    ExchangeUnavailable,
    InternalError,
    KeysUnavailable,
    RemitError,
    RequestTimeout,
    RequestTooLarge,
    ToolError,
    ToolUnknown,
)

_LOG = structlog.get_logger(__name__)

_RETRY_SECONDS: Final = 5
#: The first that fits counts; whatever fits none is this side's fault.
_STATUS: Final[Mapping[type[RemitError], int]] = {
    KeysUnavailable: 503,
    AuthenticationError: 401,
    AuthorizationError: 403,
    ToolUnknown: 404,
    RequestTooLarge: 413,
    RequestTimeout: 408,
    ExchangeUnavailable: 503,
    ExchangeError: 502,
    DownstreamTimeout: 504,
    DownstreamError: 502,
    AuditError: 503,
}


class Refused(Exception):
    """Ends a request with this answer. ``headers`` besides those every answer has."""

    def __init__(
        self, status: int, error: str, message: str, *, audit_id: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.message = message
        self.audit_id = audit_id
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """The JSON document."""
        document = {"error": self.error, "message": self.message}
        return json.dumps({**document, "audit_id": self.audit_id} if self.audit_id else document).encode()

    def fields(self) -> list[tuple[bytes, bytes]]:
        """All header fields of the answer."""
        fixed = {"content-type": "application/json", "content-length": str(len(self.body()))}
        named = {"x-request-id": self.audit_id} if self.audit_id else {}
        every = {**fixed, "cache-control": "no-store", **named, **self.headers}
        return [(name.lower().encode(), value.encode("ascii")) for name, value in every.items()]


def refused(error: RemitError, metadata_url: str, *, dpop: bool = False) -> Refused:
    """The answer for an error that crossed the bridge. ``dpop``: the token came with a proof of possession."""
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    code, message = error.code, error.message
    headers: dict[str, str] = {}
    if isinstance(error, ToolUnknown):
        code, message = "not_found", "nothing here takes this method and path"
    if status == 503:
        headers["Retry-After"] = str(_RETRY_SECONDS)
    if (challenge := _challenge(error, status, dpop=dpop)) is not None:
        status = challenge.status
        headers["WWW-Authenticate"] = challenge.header(metadata_url)
    return Refused(status, code, message, audit_id=error.call_id, headers=headers)


def challenged(challenge: Challenge, metadata_url: str) -> Refused:
    """The answer for a request that shows no token, or not as it should."""
    headers = {"WWW-Authenticate": challenge.header(metadata_url)}
    message = challenge.description or "show an access token in the Authorization header"
    return Refused(challenge.status, challenge.error or "token_missing", message, headers=headers)


def tell_operator(error: RemitError) -> None:
    """Log what callers cannot mend, and why a token was refused."""
    told = {"code": error.code, "detail": error.detail, "hint": error.hint, "call_id": error.call_id}
    if isinstance(error, InternalError):
        _LOG.exception("internal error", **told)
    elif isinstance(error, AuthenticationError):
        _LOG.info("token refused", **told)
    elif not isinstance(error, AuthorizationError | ToolError | DownstreamRefused):
        _LOG.warning("request failed", **told)


def _challenge(error: RemitError, status: int, *, dpop: bool) -> Challenge | None:
    if isinstance(error, AuthenticationError):
        return challenge_for(error, (), dpop=dpop) if status == 401 else None
    return step_up_for(error, ())
