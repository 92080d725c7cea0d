"""The RFCs' own words: URNs, claim names, the scope grammar. Spelled as the documents spell them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

# Grant types
GRANT_CLIENT_CREDENTIALS: Final = "client_credentials"  # RFC 6749 §4.4
GRANT_TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # RFC 8693 §2.1
GRANT_AUTHORIZATION_CODE: Final = "authorization_code"  # RFC 6749 §4.1
GRANT_REFRESH_TOKEN: Final = "refresh_token"  # RFC 6749 §6
GRANT_DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"  # RFC 8628 §3.4
GRANT_JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523 §2.1

# Token type identifiers (RFC 8693 §3)
TOKEN_TYPE_ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"
TOKEN_TYPE_REFRESH_TOKEN: Final = "urn:ietf:params:oauth:token-type:refresh_token"
TOKEN_TYPE_ID_TOKEN: Final = "urn:ietf:params:oauth:token-type:id_token"

# Client authentication (RFC 6749 §2.3.1, RFC 7523 §2.2)
CLIENT_SECRET_BASIC: Final = "client_secret_basic"
CLIENT_SECRET_POST: Final = "client_secret_post"
PRIVATE_KEY_JWT: Final = "private_key_jwt"
NO_CLIENT_AUTHENTICATION: Final = "none"  # RFC 7591 §2: a public client
CLIENT_ASSERTION_TYPE_JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

# Well-known paths
WELL_KNOWN_AUTHORIZATION_SERVER: Final = "/.well-known/oauth-authorization-server"  # RFC 8414 §3
WELL_KNOWN_OPENID_CONFIGURATION: Final = "/.well-known/openid-configuration"  # OpenID Connect Discovery §4
WELL_KNOWN_PROTECTED_RESOURCE: Final = "/.well-known/oauth-protected-resource"  # RFC 9728 §3

# JOSE ``typ`` values
TYP_ACCESS_TOKEN: Final = "at+jwt"  # RFC 9068 §2.1
TYP_ID_JAG: Final = "oauth-id-jag+jwt"  # draft-ietf-oauth-identity-assertion-authz-grant

#: Extension parameter of the token request: the longest lifetime wanted, in whole seconds. RFC 8693 has none,
#: and RFC 6749 §3.2 has servers ignore what they do not know; the answer is checked against it all the same.
PARAM_REQUESTED_EXPIRES_IN: Final = "requested_expires_in"

_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def parse_scope(text: str) -> tuple[str, ...]:
    """Scope string → its tokens, in order, each once.

    Raises ``ValueError`` where the text breaks the grammar of RFC 6749 §3.3 (``scope-token *( SP scope-token )``).
    The empty string is no scope at all and gives ``()``.
    """
    if not text:
        return ()
    tokens = text.split(" ")
    for token in tokens:
        if not _SCOPE_TOKEN.fullmatch(token):
            raise ValueError("scope is not a space-separated list of RFC 6749 §3.3 scope tokens")
    return tuple(dict.fromkeys(tokens))


def format_scope(scopes: Iterable[str]) -> str:
    """Scope tokens → the wire form, in the order given."""
    return " ".join(scopes)
