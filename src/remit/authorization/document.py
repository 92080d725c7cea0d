"""Rule: what a client says of itself (RFC 7591 §2), in a document at its own URL or as it registers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from remit import oauth
from remit.authorization.client import DEFAULT_GRANTS, SignInClient, Source
from remit.authorization.consent import clean
from remit.authorization.request import is_safe_redirect
from remit.errors import GrantError, InvalidClient, InvalidClientMetadata, InvalidRedirectUri
from remit.tokens import strict_json
from remit.tokens.checks import MAX_NAME_BYTES
from remit.tokens.keyset import KeySet

#: An asymmetric key is the only thing that may prove a client whose document everybody can read.
DOCUMENT_METHODS: Final = frozenset({oauth.NO_CLIENT_AUTHENTICATION, oauth.PRIVATE_KEY_JWT})

_GRANTS: Final = frozenset({*DEFAULT_GRANTS, oauth.GRANT_DEVICE_CODE})
_MAX_REDIRECT_URIS: Final = 20
_MAX_KEYS: Final = 10
_MAX_LIST: Final = 50
#: Schemes of widespread programs that have no dot, against RFC 8252 §7.1: without them they could not be used at all.
#: Another program that takes such an address for itself gets a code that only the right one can redeem (PKCE).
_APP_SCHEMES: Final = frozenset({"cursor", "jetbrains", "vscode", "vscode-insiders", "windsurf"})

_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+")
_DOTS: Final = frozenset({".", ".."})


@dataclass(frozen=True, slots=True)
class ClientMetadata:
    """What is used of it. ``jwks`` or ``jwks_uri``: of a client that proves itself by its key."""

    name: str
    redirect_uris: tuple[str, ...]
    auth_method: str
    jwks: Mapping[str, Any] | None = field(default=None, repr=False, hash=False)
    jwks_uri: str = ""
    grants: frozenset[str] = DEFAULT_GRANTS


def is_document_url(client_id: str) -> bool:
    """Whether a client's id is the URL of its document, well-formed or not."""
    return client_id.startswith("https://")


def check_document_url(url: str, hosts: tuple[str, ...] = ()) -> str:
    """The host of a client's id (draft-ietf-oauth-client-id-metadata-document §3); ``hosts``: the only ones allowed.

    Stricter than the draft where it says SHOULD: no query, for what it makes a host say need not be the host's word.
    The length is that of every client's name in a token. Raises ``InvalidClient``.
    """
    parts = _split(url)
    if parts is None or not _is_path(parts.path) or parts.path == "/" or parts.query or "?" in url or "#" in url:
        raise InvalidClient("client_id is no https URL with a path, without query, fragment, user and dot segments")
    host = parts.hostname or ""
    if hosts and host not in hosts:
        raise InvalidClient("clients of that host are not admitted here")
    return host


def _split(url: str) -> SplitResult | None:
    """An https URL that has one reading, of a host with a name."""
    if len(url) > MAX_NAME_BYTES or not url.isascii() or not url.isprintable() or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname or ""
    authority = host if port is None else f"{host}:{port}"
    sound = parts.scheme == "https" and parts.netloc.lower() == authority and _HOST.fullmatch(host)
    return parts if sound and port != 0 else None


def _is_path(path: str) -> bool:
    segments = path.lower().replace("%2e", ".").split("/")
    return _PATH.fullmatch(path) is not None and _DOTS.isdisjoint(segments)


def read_document(url: str, body: bytes) -> SignInClient:
    """The client whose document was found at ``url``, which was checked. Raises ``InvalidClient``, saying why."""
    try:
        return _client(url, _object(body))
    except (InvalidClientMetadata, InvalidRedirectUri) as error:
        raise InvalidClient(f"the client's metadata document cannot be used: {error.message}") from error


def _client(url: str, document: Mapping[str, Any]) -> SignInClient:
    if document.get("client_id") != url:
        raise InvalidClientMetadata("client_id in it is not its URL")
    if any(name.startswith("client_secret") for name in document):
        raise InvalidClientMetadata("it has a secret in it, and everybody can read it")
    metadata = read_metadata(document, DOCUMENT_METHODS, oauth.NO_CLIENT_AUTHENTICATION, home=url)
    parts = urlsplit(url)
    return SignInClient(
        client_id=url,
        name=metadata.name or parts.hostname or "",
        source=Source.METADATA_DOCUMENT,
        redirect_uris=metadata.redirect_uris,
        auth_method=metadata.auth_method,
        jwks=metadata.jwks,
        jwks_uri=metadata.jwks_uri,
        grants=metadata.grants,
        client_uri=_client_uri(document, parts),
    )


def read_registration(body: bytes) -> ClientMetadata:
    """What a client wants to be registered with (RFC 7591 §3.1). What is not known here is passed over.

    Raises ``InvalidClientMetadata`` and ``InvalidRedirectUri``.
    """
    methods = DOCUMENT_METHODS | {oauth.CLIENT_SECRET_BASIC, oauth.CLIENT_SECRET_POST}
    return read_metadata(_object(body), methods, oauth.CLIENT_SECRET_BASIC)


def read_metadata(
    document: Mapping[str, Any], methods: frozenset[str], default_method: str, *, home: str = ""
) -> ClientMetadata:
    """``methods``: how it may prove itself. ``home``: the URL that its keys may lie beside; ``""``: it has none.

    A client of a document that has a key may also bring identity assertions: it is the one that its URL names.
    Raises ``InvalidClientMetadata`` and ``InvalidRedirectUri``.
    """
    method = _text(document, "token_endpoint_auth_method") or default_method
    if method not in methods:
        raise InvalidClientMetadata("token_endpoint_auth_method is not one that is taken here")
    by_key = method == oauth.PRIVATE_KEY_JWT
    known = _GRANTS | {oauth.GRANT_JWT_BEARER} if home and by_key else _GRANTS
    grants = frozenset(_texts(document, "grant_types")) & known if document.get("grant_types") else DEFAULT_GRANTS
    if not grants:
        raise InvalidClientMetadata("grant_types has none that is served here")
    redirect_uris = _redirect_uris(document)
    if oauth.GRANT_AUTHORIZATION_CODE in grants and not redirect_uris:
        raise InvalidRedirectUri("redirect_uris is missing")
    jwks, jwks_uri = _keys(document, home) if by_key else (None, "")
    name = clean(_text(document, "client_name"))
    return ClientMetadata(name, redirect_uris, method, jwks, jwks_uri, grants)


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = strict_json.loads(body)
    except strict_json.NotStrict as error:
        raise InvalidClientMetadata(f"it is not strict JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidClientMetadata("it is no JSON object")
    return document


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidClientMetadata(f"{name} is no text")
    return value or ""


def _texts(document: Mapping[str, Any], name: str, refuse: type[GrantError] = InvalidClientMetadata) -> list[str]:
    value = document.get(name)
    values = [] if value is None else value
    if not isinstance(values, list) or len(values) > _MAX_LIST or not all(isinstance(each, str) for each in values):
        raise refuse(f"{name} is no short list of texts")
    return values


def _redirect_uris(document: Mapping[str, Any]) -> tuple[str, ...]:
    uris = tuple(dict.fromkeys(_texts(document, "redirect_uris", InvalidRedirectUri)))
    if len(uris) > _MAX_REDIRECT_URIS:
        raise InvalidRedirectUri(f"redirect_uris has more than {_MAX_REDIRECT_URIS}")
    if not all(is_safe_redirect(uri) and _is_claimed(uri) for uri in uris):
        raise InvalidRedirectUri(
            "a redirect URI is not https, nor http on the user's own machine, nor of an app's own scheme"
        )
    return uris


def _is_claimed(uri: str) -> bool:
    """RFC 8252 §7.1: an app's own scheme is a domain name turned round, so that no two apps share one."""
    scheme = urlsplit(uri).scheme
    return scheme in {"http", "https"} or "." in scheme or scheme in _APP_SCHEMES


def _keys(document: Mapping[str, Any], home: str) -> tuple[Mapping[str, Any] | None, str]:
    jwks: Any = document.get("jwks")
    jwks_uri = _text(document, "jwks_uri")
    if (jwks is None) == (not jwks_uri):
        raise InvalidClientMetadata("private_key_jwt needs one of jwks and jwks_uri")
    if jwks_uri:
        return None, _beside(jwks_uri, home)
    try:
        KeySet(jwks)
    except ValueError as error:
        raise InvalidClientMetadata(f"jwks cannot be used: {error}") from error
    if len(jwks["keys"]) > _MAX_KEYS:
        raise InvalidClientMetadata(f"jwks has more than {_MAX_KEYS} keys")
    return jwks, ""


def _beside(jwks_uri: str, home: str) -> str:
    """Keys elsewhere would be the word of somebody else."""
    parts = _split(jwks_uri)
    if not home or parts is None or not _is_path(parts.path) or _origin(parts) != _origin(urlsplit(home)):
        raise InvalidClientMetadata("jwks_uri is not at the place that the client itself is from")
    return jwks_uri


def _origin(parts: SplitResult) -> tuple[str, int]:
    return parts.hostname or "", parts.port or 443


def _client_uri(document: Mapping[str, Any], home: SplitResult) -> str:
    """Where people can read about the client, if the same host says it; dropped otherwise, for it only informs."""
    value = document.get("client_uri")
    parts = _split(value) if isinstance(value, str) else None
    return str(value) if parts is not None and parts.hostname == home.hostname else ""
