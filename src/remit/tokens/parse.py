"""Token text → unverified header and claims; refuses what PyJWT lets through (rule).

Nothing here is proven: a ``ParsedToken`` says only that the text has exactly one reading.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from remit.credential import UnverifiedToken
from remit.errors import TokenMalformed
from remit.tokens import strict_json

#: What a resource server reads (RFC 7519 sets no limit).
MAX_TOKEN_BYTES: Final = 8192
_MAX_KID_CHARACTERS: Final = 256

# Base64url without padding (RFC 7515 §2), with zero bits where the last character holds more than the bytes
# need (RFC 4648 §3.5): the text of a token cannot be changed without changing what it says.
_PART: Final = re.compile(r"(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?")

# crit: no extension is understood here, so each must be refused (RFC 7515 §4.1.11).
# b64: the payload would not be base64url (RFC 7797). zip: only JWE has it (RFC 7516 §4.1.3).
_REFUSED_HEADERS: Final = ("crit", "b64", "zip")


@dataclass(frozen=True, slots=True)
class ParsedToken:
    """Header and claims as the text has them, unverified. ``repr`` shows neither."""

    header: Mapping[str, Any] = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)


def parse(token: UnverifiedToken, *, max_bytes: int = MAX_TOKEN_BYTES) -> ParsedToken:
    """Read a JWS in compact form (RFC 7515 §7.1) whose payload is a JSON object (RFC 7519 §7.2).

    Raises ``TokenMalformed``, naming the rule, and nothing else.

    This does NOT verify the signature or any claim. ``jwk``, ``jku``, ``x5c``, ``x5u`` and ``x5t`` in the header
    are passed over: real providers send some of them, and no key is ever taken from a token (RFC 8725 §3.5 ff).
    """
    text = token.reveal()  # read here, never kept
    if len(text) > max_bytes:
        raise _malformed(f"more than {max_bytes} bytes")
    parts = text.split(".")
    if len(parts) != 3:
        raise _malformed("not three parts")
    for part in parts:
        if not part or not _PART.fullmatch(part):
            raise _malformed("a part is not canonical base64url without padding")
    header = _read_object("header", parts[0])
    _check_header(header)
    return ParsedToken(header, _read_object("payload", parts[1]))


def _read_object(name: str, part: str) -> dict[str, Any]:
    try:
        value = strict_json.loads(decode_part(part))
    except strict_json.NotStrict as error:
        raise _malformed(f"{name}: {error}") from error
    if not isinstance(value, dict):
        raise _malformed(f"{name}: not a JSON object")
    return value


_TO_BASE64: Final = str.maketrans("-_", "+/")


def decode_part(part: str) -> bytes:
    """The bytes of one part of a token that ``parse`` has read. Its alphabet is not checked again."""
    return binascii.a2b_base64(part.translate(_TO_BASE64) + "=" * (-len(part) % 4))


def _check_header(header: Mapping[str, Any]) -> None:
    alg = header.get("alg")
    if not isinstance(alg, str):
        raise _malformed("header: alg is not a string")
    # "none" proves nothing, and an HMAC would make a public key its secret (RFC 8725 §2.1, §3.2).
    if alg.lower() == "none" or alg.upper().startswith("HS"):
        raise _malformed("header: alg is not a public-key signature")
    for name in _REFUSED_HEADERS:
        if name in header:
            raise _malformed(f"header: {name} is not accepted")
    kid = header.get("kid", "")
    if not isinstance(kid, str) or len(kid) > _MAX_KID_CHARACTERS:
        raise _malformed("header: kid is not a short string")
    if not isinstance(header.get("typ", ""), str):
        raise _malformed("header: typ is not a string")


def _malformed(rule: str) -> TokenMalformed:
    return TokenMalformed(f"token cannot be read: {rule}")
