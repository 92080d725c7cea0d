"""Rule: the authorization request that a browser carries, and what its answer means (RFC 6749 §4.1, RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from remit import oauth
from remit.credential import Credential
from remit.errors import SignInFailed
from remit.login.asking import refused
from remit.login.login import LoginClient
from remit.login.metadata import ServerMetadata

_MAX_PARAMETERS = 20
_MAX_CODE = 4096


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """One request. ``state`` tells its answer from others, ``verifier`` proves whose it was: both are random."""

    server: ServerMetadata
    client: LoginClient
    redirect_uri: str
    state: Credential
    verifier: Credential

    @classmethod
    def begin(cls, server: ServerMetadata, client: LoginClient, redirect_uri: str) -> Self:
        """A new one. Raises ``SignInFailed`` where the server does not do what makes it safe."""
        if not server.authorization_endpoint:
            raise SignInFailed("nobody can sign in there with a browser", hint="try `remit login --device`")
        if not server.takes_pkce:
            raise SignInFailed(
                "the authorization server does not say that it takes PKCE with S256",
                hint="its metadata need S256 in code_challenge_methods_supported",
            )
        return cls(server, client, redirect_uri, _random(), _random())

    @property
    def url(self) -> str:
        """What the browser opens. Good once, and only together with the verifier, which is not in it."""
        target = self.client.target
        challenge = hashlib.sha256(self.verifier.reveal().encode()).digest()
        parameters = [
            ("response_type", "code"),
            ("client_id", target.client_id),
            ("redirect_uri", self.redirect_uri),
            ("code_challenge", base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()),
            ("code_challenge_method", "S256"),
            ("state", self.state.reveal()),
            ("resource", target.resource),
            *([("scope", oauth.format_scope(self.client.scopes))] if self.client.scopes else []),
        ]
        endpoint = self.server.authorization_endpoint
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(parameters)}"

    def is_answer(self, query: str) -> bool:
        """Whether what came is the answer to this request: any page can have the browser come to us."""
        given = _parameters(query).get("state", "")
        return hmac.compare_digest(given.encode(), self.state.reveal().encode())

    def code_in(self, query: str) -> Credential:
        """The authorization code. Raises ``SignInFailed``.

        An answer that names another issuer, or names none where this one always does, is a mix-up (RFC 9207 §2.4).
        """
        parameters = _parameters(query)
        issuer = parameters.get("iss")
        if issuer != self.server.issuer and (issuer is not None or self.server.names_itself):
            raise SignInFailed("the browser brought the answer of another issuer", detail="iss is not the issuer's")
        if "error" in parameters:
            raise refused(parameters["error"], parameters.get("error_description"))
        code = parameters.get("code", "")
        if not code or len(code) > _MAX_CODE:
            raise SignInFailed("the browser brought no authorization code")
        return Credential(code)


def _random() -> Credential:
    """43 characters that nobody can guess (RFC 7636 §4.1)."""
    return Credential(secrets.token_urlsafe(32))


def _parameters(query: str) -> dict[str, str]:
    """Each once; none at all where one comes twice (RFC 6749 §3.1) or there are too many."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS, errors="strict")
    except ValueError:
        return {}
    parameters = dict(pairs)
    return parameters if len(parameters) == len(pairs) else {}
