"""Rule: the query of an authorization request → what is asked for (RFC 6749 §4.1.1, OAuth 2.1 §4.1.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from remit import oauth
from remit.authorization.authorization import AuthorizationRequest
from remit.authorization.client import SignInClient
from remit.errors import (
    GrantError,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    UnauthorizedClient,
    UnmetAuthentication,
    UnsupportedResponseType,
)
from remit.sts.form import decode
from remit.web import is_loopback

MAX_QUERY_BYTES: Final = 8 * 1024
#: As many checkboxes as a form may bring back.
MAX_SCOPES: Final = 48
_MAX_SCOPE_CHARACTERS: Final = 128
_MAX_PARAMETERS: Final = 64
_MAX_REDIRECT_CHARACTERS: Final = 2048
#: The SHA-256 of a code verifier (RFC 7636 §4.2) or of a key (RFC 7638), in base64url.
_SHA256: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_SECONDS: Final = re.compile(r"\d{1,9}")
#: What a client may ask of the sign-in (OpenID Connect Core §3.1.2.1).
PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
#: What a browser takes for something else than the address of a client.
_NOT_A_CLIENT: Final = frozenset(
    {"javascript", "data", "vbscript", "file", "blob", "filesystem", "about", "view-source", "ws", "wss", "ftp"}
)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,63}")
#: What is answered must not be there already.
_ANSWERS: Final = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})

#: Parameters by name, each with all its values, as they came.
Query = Mapping[str, tuple[str, ...]]


class RequestNotSupported(InvalidRequest):
    """Requests are made by parameters alone, not as a JWT (RFC 9101)."""

    code = "request_not_supported"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a client can ask for here: tokens for ``audiences``, the first where it names none.

    ``steps_up``: people can be asked to sign in in a certain way (``acr_values``).
    """

    audiences: tuple[str, ...]
    steps_up: bool = False


@dataclass(frozen=True, slots=True)
class ReturnAddress:
    """Where the answer goes: a redirect URI that was checked against its client, with what it expects back."""

    uri: str
    state: str
    issuer: str

    def with_code(self, code: str) -> str:
        """The URL that brings the code (RFC 6749 §4.1.2), and says whose it is (RFC 9207)."""
        return self._with({"code": code})

    def with_error(self, error: GrantError) -> str:
        """The URL that brings the refusal (RFC 6749 §4.1.2.1)."""
        return self._with({"error": error.code, "error_description": error.message})

    def _with(self, answer: dict[str, str]) -> str:
        told = {**answer, "state": self.state, "iss": self.issuer}
        joint = "&" if "?" in self.uri else "?"
        return self.uri + joint + urlencode({name: value for name, value in told.items() if value})


def read_query(text: str) -> Query:
    """The parameters. Raises ``InvalidRequest`` where the text is too long or not form-encoded UTF-8."""
    if len(text) > MAX_QUERY_BYTES:
        raise InvalidRequest(f"the request is longer than {MAX_QUERY_BYTES} bytes")
    pairs = [pair for pair in text.split("&") if pair]
    if len(pairs) > _MAX_PARAMETERS:
        raise InvalidRequest(f"the request has more than {_MAX_PARAMETERS} parameters")
    query: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        query[decode(name)] = (*query.get(decode(name), ()), decode(value))
    return query


def client_id_of(query: Query) -> str:
    """Who asks. Raises ``InvalidRequest``; there is nobody to send that to."""
    if not (client_id := _one(query, "client_id")):
        raise InvalidRequest("the request does not say which client makes it")
    return client_id


def return_address(query: Query, client: SignInClient, issuer: str) -> ReturnAddress:
    """Where this client wants its answer.

    Raises ``InvalidRequest``, which must not be sent anywhere: until here the address is anybody's word.
    """
    uri = _one(query, "redirect_uri")
    if not uri:
        raise InvalidRequest("the request does not say where the answer goes (redirect_uri)")
    if not client.redirects_to(uri) or not is_safe_redirect(uri):
        raise InvalidRequest("the client has not registered the address that the answer should go to (redirect_uri)")
    states = query.get("state", ())
    return ReturnAddress(uri, states[0] if len(states) == 1 else "", issuer)


def is_safe_redirect(uri: str) -> bool:
    """Whether a browser may be sent to ``uri`` with a code: https, http on this machine, or an app's own scheme.

    Asked here again, whatever a client could register.
    """
    if (
        len(uri) > _MAX_REDIRECT_CHARACTERS
        or not uri.isascii()
        or not uri.isprintable()
        or set(uri) & set(' "<>\\^`{|}#')
    ):
        return False
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018  raises where it is none
    except ValueError:
        return False
    if not _SCHEME.fullmatch(parts.scheme) or parts.scheme in _NOT_A_CLIENT or "@" in parts.netloc:
        return False
    if any(name in _ANSWERS for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        return False
    if parts.scheme == "http":
        return is_loopback(uri)
    return parts.scheme != "https" or bool(parts.hostname)


def read_request(query: Query, client: SignInClient, address: ReturnAddress, offer: Offer) -> AuthorizationRequest:
    """What is asked for. Raises leaves of ``GrantError``, to be sent to ``address``."""
    _check_form(query, client)
    prompt = frozenset(_one(query, "prompt").split())
    if prompt - PROMPTS or ("none" in prompt and len(prompt) > 1):
        raise InvalidRequest("prompt has a value that is not known, or none together with another")
    acr_values = tuple(_one(query, "acr_values").split())
    if acr_values and not offer.steps_up:
        raise UnmetAuthentication("people sign in here with a password alone")
    max_age = _one(query, "max_age")
    if max_age and not _SECONDS.fullmatch(max_age):
        raise InvalidRequest("max_age is not a number of seconds")
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=address.uri,
        audience=_audience(query, offer),
        scopes=_scopes(query),
        code_challenge=_code_challenge(query),
        state=address.state,
        prompt=prompt,
        max_age=int(max_age) if max_age else -1,
        acr_values=acr_values,
        login_hint=_one(query, "login_hint")[:128],
        dpop_jkt=_thumbprint(query),
    )


def _check_form(query: Query, client: SignInClient) -> None:
    if any(len(values) > 1 for name, values in query.items() if name != "resource"):
        raise InvalidRequest("a parameter is included more than once")
    if "request" in query or "request_uri" in query:
        raise RequestNotSupported("requests as a JWT are not taken here")
    if not (response_type := _one(query, "response_type")):
        raise InvalidRequest("response_type is missing")
    if response_type != "code":
        raise UnsupportedResponseType("only response_type=code is served here")
    if _one(query, "response_mode") not in {"", "query"}:
        raise InvalidRequest("answers are sent in the query alone (response_mode)")
    if oauth.GRANT_AUTHORIZATION_CODE not in client.grants:
        raise UnauthorizedClient("the client may not have people sign in this way")


def _code_challenge(query: Query) -> str:
    """PKCE is not optional (OAuth 2.1 §7.5.1), and ``plain`` proves nothing to whoever reads the request."""
    challenge = _one(query, "code_challenge")
    if not challenge:
        raise InvalidRequest("code_challenge is missing: PKCE is needed")
    if _one(query, "code_challenge_method") != "S256":
        raise InvalidRequest("code_challenge_method has to be S256")
    if not _SHA256.fullmatch(challenge):
        raise InvalidRequest("code_challenge is not a SHA-256 in base64url")
    return challenge


def _audience(query: Query, offer: Offer) -> str:
    """RFC 8707 §2. One token is for one resource."""
    resources = set(query.get("resource", ())) - {""}
    if len(resources) > 1:
        raise InvalidTarget("a token is for one resource, and the request names several")
    if not resources:
        return offer.audiences[0]
    [resource] = resources
    if resource not in offer.audiences:
        raise InvalidTarget("no tokens are issued here for that resource")
    return resource


def _scopes(query: Query) -> tuple[str, ...]:
    try:
        scopes = oauth.parse_scope(_one(query, "scope"))
    except ValueError as error:
        raise InvalidScope(str(error)) from error
    check_scopes(scopes)
    return scopes


def check_scopes(scopes: tuple[str, ...]) -> None:
    """Raise ``InvalidScope`` where a client asks for more than anybody would read."""
    if len(scopes) > MAX_SCOPES or any(len(scope) > _MAX_SCOPE_CHARACTERS for scope in scopes):
        raise InvalidScope(f"there are more than {MAX_SCOPES} scopes, or one has more than 128 characters")


def _thumbprint(query: Query) -> str:
    thumbprint = _one(query, "dpop_jkt")
    if thumbprint and not _SHA256.fullmatch(thumbprint):
        raise InvalidRequest("dpop_jkt is not the thumbprint of a key (RFC 9449 §10)")
    return thumbprint


def _one(query: Query, name: str) -> str:
    values = query.get(name, ())
    if len(values) > 1:
        raise InvalidRequest("a parameter is included more than once")
    return values[0] if values else ""
