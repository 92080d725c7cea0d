"""Rule: whether an ID token is the answer to the very request that was made (OpenID Connect Core §3.1.3.7).

Its signature, issuer, type and times are for ``tokens.verifier``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

from remit.authorization.departure import Departure
from remit.errors import ClaimInvalid, UnmetAuthentication
from remit.tokens.checks import read_name, read_seconds
from remit.tokens.verified import VerifiedToken

LEEWAY: Final = 30
#: By the algorithm of the signature (§3.1.3.6); Ed25519 has SHA-512 in it.
_HASHES: Final = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512, "DSA": hashlib.sha512}


def check_id_token(token: VerifiedToken, *, client_id: str, nonce: str, access_token: str) -> None:
    """Raise ``ClaimInvalid`` unless it is for this client alone, for this request, and came with this access token."""
    if token.audience != (client_id,):
        raise ClaimInvalid("the ID token is for somebody else as well")
    if read_name(token.claims, "azp") not in ("", client_id):
        raise ClaimInvalid("the ID token was issued to another client (azp)")
    if not hmac.compare_digest(read_name(token.claims, "nonce").encode(), nonce.encode()):
        raise ClaimInvalid("the ID token belongs to another sign-in (nonce)")
    at_hash = read_name(token.claims, "at_hash")
    if at_hash and not hmac.compare_digest(at_hash.encode(), _half_hash(access_token, str(token.header["alg"]))):
        raise ClaimInvalid("the ID token belongs to another access token (at_hash)")


def check_freshness(token: VerifiedToken, departure: Departure) -> None:
    """Raise ``UnmetAuthentication`` unless the person signed in as lately as was asked for.

    The request went through the person's browser, where it could be changed: so what counts is what the token says.
    """
    if departure.max_age < 0:
        return
    auth_time = read_seconds(token.claims, "auth_time")
    if auth_time is None or auth_time + departure.max_age + LEEWAY < departure.at:
        raise UnmetAuthentication("the provider does not say that the person signed in as lately as is asked for")


def _half_hash(text: str, alg: str) -> bytes:
    digest = _HASHES[alg[-3:]](text.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
