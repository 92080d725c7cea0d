"""An error → the HTTP answer that tells it to the client (rule)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from remit.errors import AuthenticationError, AuthorizationError, KeysUnavailable, ScopeInsufficient, TokenMissing

#: Seconds after which a client may ask again while the issuer's keys cannot be had.
RETRY_AFTER: Final = 30
_MAX_DESCRIPTION: Final = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """Status, header fields and JSON body of the answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def refusal(error: AuthenticationError | AuthorizationError, realm: str) -> Refusal:
    """The answer of RFC 6750 §3 for an error of authentication or authorization.

    Shows the error's ``message`` only, never ``detail`` or ``hint``. ``realm`` is printable ASCII without quotes.
    """
    said = describe(error.message)
    match error:
        case TokenMissing():
            # RFC 6750 §3.1: no error code "if the request lacks any authentication information".
            return _answer(401, {"error_description": said}, _challenge(realm))
        case KeysUnavailable():
            return _coded(503, "temporarily_unavailable", said, ("Retry-After", str(RETRY_AFTER)))
        case ScopeInsufficient(scope=scope):
            challenge = _challenge(realm, error="insufficient_scope", error_description=said, scope=scope)
            return _coded(403, "insufficient_scope", said, challenge)
        case AuthorizationError():
            # RFC 6750 §3.1 has no code for this, and no other token would help.
            return _coded(403, "access_denied", said)
        case _:
            return _coded(401, "invalid_token", said, _challenge(realm, error="invalid_token", error_description=said))


def describe(message: str) -> str:
    """A message as RFC 6750 §3 allows it in ``error_description``: printable ASCII without quote and backslash."""
    text = message.replace('"', "'").replace("\\", "/").encode("ascii", "replace").decode()
    return "".join(character if character.isprintable() else "?" for character in text)[:_MAX_DESCRIPTION]


def _challenge(realm: str, **parameters: str) -> tuple[str, str]:
    shown = ", ".join(f'{name}="{value}"' for name, value in {"realm": realm, **parameters}.items())
    return "WWW-Authenticate", f"Bearer {shown}"


def _coded(status: int, error: str, description: str, *headers: tuple[str, str]) -> Refusal:
    return _answer(status, {"error": error, "error_description": description}, *headers)


def _answer(status: int, document: dict[str, str], *headers: tuple[str, str]) -> Refusal:
    body = json.dumps(document).encode()
    fixed = (
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    )
    return Refusal(status, (*fixed, *headers), body)
