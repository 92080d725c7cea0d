"""Rule: an HTTP answer of a token service → an issued token, or the leaf of ``ExchangeError`` that says why not.

RFC 6749 §5.1 and §5.2, RFC 8693 §2.2. Texts of the other side go into ``detail`` only, cut short.
"""

from __future__ import annotations

import re
from typing import Any, Final

from remit.errors import ExchangeError, ExchangeInvalid, ExchangeRefused, ExchangeUnavailable
from remit.exchange.messages import IssuedToken
from remit.tokens import strict_json
from remit.web import Answer

_ERROR_CODE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_MAX_DESCRIPTION: Final = 200

#: What the operator can do about an error code (RFC 6749 §5.2, RFC 8693 §2.2.2).
_HINTS: Final = {
    "invalid_client": "check this client's id, secret or key and its authentication method at the token service",
    "unauthorized_client": "allow this client the token exchange grant at the token service",
    "unsupported_grant_type": "enable token exchange at the token service",
    "invalid_target": "allow this client the tool's audience or resource at the token service",
    "invalid_scope": "allow the tool's scopes to both this client and the user, or narrow them in the tool",
    # Products answer either for a subject or actor token they do not take; RFC 8693 §2.2.2 has the first.
    "invalid_request": "check that the token service trusts the subject token's issuer, audience and lifetime",
    "invalid_grant": "check that the token service trusts the subject token's issuer, audience and lifetime",
}


def read_token_response(answer: Answer, *, issued_token_type_required: bool) -> IssuedToken:
    """The token in ``answer``. Raises a leaf of ``ExchangeError``."""
    if answer.status != 200:
        raise _failure(answer)
    document = json_object(answer)
    return IssuedToken.from_json(document, issued_token_type_required=issued_token_type_required)


def json_object(answer: Answer) -> dict[str, Any]:
    """The JSON object that ``answer`` carries. Raises ``ExchangeInvalid``."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ExchangeInvalid(
            "the token service answered with something else than JSON",
            detail=f"status {answer.status}, content type {printable(kind)!r}",
            hint="check the token endpoint's address: a proxy or a web page may have answered",
        )
    try:
        document = strict_json.loads(answer.body)
    except strict_json.NotStrict as error:
        raise ExchangeInvalid("the token service answered with malformed JSON", detail=str(error)) from error
    if not isinstance(document, dict):
        raise ExchangeInvalid("the token service answered with something else than a JSON object")
    return document


def refused(error: str, description: str, *, status: int) -> ExchangeRefused:
    """The refusal a token service gave as ``error`` and ``error_description``."""
    return ExchangeRefused(
        f'the token service refused the request with "{error}"',
        error=error,
        detail=f"status {status}: {printable(description)}" if description else f"status {status}",
        hint=_HINTS.get(error, ""),
    )


def printable(text: str) -> str:
    """Text of the other side as the trail may hold it: printable and at most 200 characters."""
    return "".join(character if character.isprintable() else "?" for character in text[:_MAX_DESCRIPTION])


def _failure(answer: Answer) -> ExchangeError:
    status = answer.status
    if status >= 500 or status == 429:
        return ExchangeUnavailable("the token service is not able to answer now", detail=f"status {status}")
    if status < 400:
        # A redirect is not followed: the request holds credentials.
        return ExchangeInvalid(
            "the token service answered with neither a token nor an error", detail=f"status {status}"
        )
    document = json_object(answer)
    error, description = document.get("error"), document.get("error_description")
    if not isinstance(error, str) or not _ERROR_CODE.fullmatch(error):
        return ExchangeInvalid("the token service refused without an OAuth error code", detail=f"status {status}")
    return refused(error, description if isinstance(description, str) else "", status=status)
