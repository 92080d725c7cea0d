"""Door: what an authorization server says of itself (RFC 8414), as far as it is to be believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from remit import oauth
from remit.errors import SignInFailed
from remit.login.asking import json_object, send
from remit.web import HttpClient, is_loopback, is_secure


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """What is used of it (RFC 8414 §2). Endpoints that it does not name are empty.

    ``takes_pkce``: it says that it knows S256; one that says nothing of it may not look at the challenge at all.
    ``names_itself``: its answers to authorization requests always hold ``iss`` (RFC 9207).
    """

    issuer: str
    token_endpoint: str
    authorization_endpoint: str = ""
    device_authorization_endpoint: str = ""
    revocation_endpoint: str = ""
    takes_pkce: bool = False
    names_itself: bool = False


async def discover(issuer: str, http: HttpClient) -> ServerMetadata:
    """Ask ``issuer``, at the RFC 8414 place first, then at the one of OpenID Connect.

    Raises ``SignInUnavailable`` or ``SignInFailed``.
    """
    for url in _metadata_urls(issuer):
        answer = await send(http, http.build_request("GET", url, headers={"Accept": "application/json"}))
        if answer.status == 200:
            return read_metadata(issuer, json_object(answer))
    raise SignInFailed(
        "the issuer publishes no metadata, so nobody can sign in there",
        detail=f"issuer {issuer}",
        hint="check the spelling of login.issuer",
    )


def read_metadata(issuer: str, document: dict[str, Any]) -> ServerMetadata:
    """RFC 8414 §3.3: the ``issuer`` in it "MUST be identical" to the one asked, or nothing in it may be used.

    Its endpoints have to be ``https``; only an issuer on this machine may have ``http`` ones on this machine.
    """
    if document.get("issuer") != issuer:
        raise SignInFailed(
            "the authorization server's metadata are of another issuer",
            hint="write the issuer exactly as the metadata spell it, a slash at the end included",
        )
    token_endpoint = _endpoint(issuer, document, "token_endpoint")
    if not token_endpoint:
        raise SignInFailed("the authorization server's metadata name no token endpoint")
    methods = document.get("code_challenge_methods_supported")
    return ServerMetadata(
        issuer=issuer,
        token_endpoint=token_endpoint,
        authorization_endpoint=_endpoint(issuer, document, "authorization_endpoint"),
        device_authorization_endpoint=_endpoint(issuer, document, "device_authorization_endpoint"),
        revocation_endpoint=_endpoint(issuer, document, "revocation_endpoint"),
        takes_pkce=isinstance(methods, list) and "S256" in methods,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(issuer: str, document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or not is_secure(value) or (is_loopback(value) and not is_loopback(issuer)):
        raise SignInFailed(f"the authorization server's {name} is not one that may be sent a credential")
    return value


def _metadata_urls(issuer: str) -> tuple[str, str]:
    """RFC 8414 §3.1 puts the well-known part before the issuer's path, OpenID Connect Discovery §4 after it."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    before = parts._replace(path=oauth.WELL_KNOWN_AUTHORIZATION_SERVER + path)
    after = parts._replace(path=path + oauth.WELL_KNOWN_OPENID_CONFIGURATION)
    return urlunsplit(before), urlunsplit(after)
