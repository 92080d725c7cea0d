"""Door: where a token service says its endpoints are (RFC 8414)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from remit import oauth
from remit.errors import ExchangeInvalid, ExchangeUnavailable
from remit.exchange.sending import send
from remit.exchange.token_response import json_object
from remit.web import Answer, is_secure


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """What is used of an authorization server's metadata (RFC 8414 §2)."""

    issuer: str
    token_endpoint: str


async def discover(issuer: str, http: httpx.AsyncClient, *, seconds: float) -> ServerMetadata:
    """Ask ``issuer`` for its metadata, at the RFC 8414 place first, then at the one of OpenID Connect.

    Raises ``ExchangeUnavailable`` or ``ExchangeInvalid``. This does NOT choose keys: those are configured.
    """
    for url in metadata_urls(issuer):
        answer = await send(http, http.build_request("GET", url, headers={"Accept": "application/json"}), seconds)
        if answer.status == 200:
            return read_metadata(issuer, json_object(answer))
        _check_worth_another_place(answer)
    raise ExchangeInvalid(
        "the token service publishes no metadata",
        detail=f"issuer {issuer}",
        hint="set the token endpoint, or check the issuer's spelling",
    )


def metadata_urls(issuer: str) -> tuple[str, str]:
    """RFC 8414 §3.1 puts the well-known part before the issuer's path, OpenID Connect Discovery §4 after it."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    before = parts._replace(path=oauth.WELL_KNOWN_AUTHORIZATION_SERVER + path)
    after = parts._replace(path=path + oauth.WELL_KNOWN_OPENID_CONFIGURATION)
    return urlunsplit(before), urlunsplit(after)


def read_metadata(issuer: str, document: dict[str, Any]) -> ServerMetadata:
    """RFC 8414 §3.3: the ``issuer`` in it "MUST be identical" to the one asked, or nothing in it may be used."""
    if document.get("issuer") != issuer:
        raise ExchangeInvalid(
            "the token service's metadata are of another issuer",
            hint="write the issuer exactly as the metadata spell it, trailing slash included",
        )
    endpoint = document.get("token_endpoint")
    if not isinstance(endpoint, str) or not is_secure(endpoint):
        raise ExchangeInvalid("the token service's metadata name no token endpoint that may be sent a credential")
    return ServerMetadata(issuer=issuer, token_endpoint=endpoint)


def _check_worth_another_place(answer: Answer) -> None:
    if answer.status >= 500 or answer.status == 429:
        raise ExchangeUnavailable("the token service is not able to answer now", detail=f"status {answer.status}")
