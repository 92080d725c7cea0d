"""One function per claim, in the order of RFC 9068 §4 (rule).

Each takes the header or the claims, returns the claim as a value of its own type, and raises a leaf of
``TokenInvalid``. Time is an argument in seconds since the epoch. Texts of a token are quoted in errors only
cut short and printable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

from remit.errors import (
    AudienceMismatch,
    ClaimInvalid,
    IssuerUntrusted,
    SignatureInvalid,
    TokenExpired,
    TokenNotYetValid,
    TokenTypeMismatch,
)
from remit.oauth import parse_scope
from remit.principal import DelegationChain, Profile
from remit.principal import read_profile as profile_of

#: Subject, client, token and actor names longer than this are refused.
MAX_NAME_BYTES: Final = 256
_MAX_SECONDS: Final = 253_402_300_799  # the end of the year 9999
_MAX_QUOTED: Final = 80

Claims = Mapping[str, Any]


def check_typ(header: Mapping[str, Any], accepted: AbstractSet[str]) -> None:
    """RFC 9068 §4: "MUST verify that the 'typ' header value is 'at+jwt' or 'application/at+jwt'".

    ``accepted`` is lower case and without ``application/`` (RFC 7515 §4.1.9); the empty string in it accepts a
    header without ``typ``.
    """
    typ = header.get("typ", "")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in accepted:
        raise TokenTypeMismatch(f"token type {quoted(typ)} is not accepted, expected {_any_of(accepted)}")


def check_issuer(claims: Claims, accepted: AbstractSet[str]) -> str:
    """RFC 9068 §4: the issuer identifier "MUST exactly match the value of the 'iss' claim"."""
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer not in accepted:
        raise IssuerUntrusted(
            f"issuer {quoted(issuer)} is not trusted",
            hint="add the issuer to the trusted issuers exactly as its tokens spell it",
        )
    return issuer


def check_algorithm(header: Mapping[str, Any], accepted: AbstractSet[str]) -> str:
    """RFC 8725 §3.1: "libraries MUST enable the caller to specify a supported set of algorithms"."""
    alg = header.get("alg")
    if not isinstance(alg, str) or alg not in accepted:
        raise SignatureInvalid(f"signature algorithm {quoted(alg)} is not accepted, expected {_any_of(accepted)}")
    return alg


def read_audience(claims: Claims) -> tuple[str, ...]:
    """RFC 7519 §4.1.3: a string, or an array of strings; an absent claim gives ``()``."""
    if "aud" not in claims:
        return ()
    value = claims["aud"]
    audience = (value,) if isinstance(value, str) else value
    if not isinstance(audience, (tuple, list)) or not audience:
        raise ClaimInvalid("claim aud is not a string or a list of strings")
    if not all(isinstance(name, str) and name for name in audience):
        raise ClaimInvalid("claim aud holds something else than names")
    return tuple(audience)


def check_audience(audience: tuple[str, ...], accepted: AbstractSet[str]) -> None:
    """RFC 9068 §4: the token "MUST be rejected" unless ``aud`` holds an identifier of this resource server.

    The empty string in ``accepted`` accepts a token without ``aud``, if the claim is not required.
    """
    if accepted.isdisjoint(audience or ("",)):
        actual = ", ".join(quoted(name) for name in audience[:3]) or "none"
        raise AudienceMismatch(f"audience {actual} is not accepted, expected {_any_of(accepted)}")


def read_seconds(claims: Claims, name: str) -> float | None:
    """A NumericDate (RFC 7519 §2), or ``None`` where the claim is absent. A string, bool or NaN is none."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ClaimInvalid(f"claim {name} is not a number of seconds")
    if not math.isfinite(value) or not 0 <= value <= _MAX_SECONDS:
        raise ClaimInvalid(f"claim {name} is out of range")
    return value


def check_expiry(exp: float, *, now: float, leeway: int) -> None:
    """RFC 9068 §4: "the current time MUST be before the time represented by the 'exp' claim"."""
    if now >= exp + leeway:
        raise TokenExpired(f"token expired {int(now - exp)} seconds ago")


def check_started(name: str, start: float | None, *, now: float, leeway: int) -> None:
    """RFC 7519 §4.1.5: not accepted before ``nbf``; an ``iat`` in the future is the same lie."""
    if start is not None and now + leeway < start:
        raise TokenNotYetValid(f"token is not valid for {math.ceil(start - now)} more seconds (claim {name})")


def read_name(claims: Claims, name: str) -> str:
    """A short printable string (``sub``, ``client_id``, ``jti``, …), or ``""`` where the claim is absent."""
    if name not in claims:
        return ""
    value = claims[name]
    if not isinstance(value, str) or not value:
        raise ClaimInvalid(f"claim {name} is not a string that names something")
    if not value.isprintable() or len(value.encode()) > MAX_NAME_BYTES:
        raise ClaimInvalid(f"claim {name} is not a printable string of at most {MAX_NAME_BYTES} bytes")
    return value


def read_scope(claims: Claims) -> tuple[str, ...]:
    """RFC 8693 §4.2: ``scope``, a space-separated list; else ``scp``, the list or string Okta and Entra write."""
    text = claims["scope"] if "scope" in claims else _joined(claims.get("scp", ""))
    if not isinstance(text, str):
        raise ClaimInvalid("claim scope is not a string")
    try:
        return parse_scope(text)
    except ValueError as error:
        raise ClaimInvalid("claim scope breaks the grammar of RFC 6749 §3.3") from error


def _joined(scp: object) -> object:
    """A list of scope tokens as the string it stands for; a token with a space in it would become two."""
    if isinstance(scp, list) and all(isinstance(token, str) and token and " " not in token for token in scp):
        return " ".join(scp)
    return scp


def read_chain(claims: Claims) -> DelegationChain:
    """RFC 8693 §4.1: the nested ``act`` claim, newest actor first."""
    try:
        return DelegationChain.from_claims(claims)
    except ValueError as error:
        raise ClaimInvalid("claim act is not a chain of actors", detail=str(error)) from error


def read_profile(claims: Claims) -> Profile | None:
    """The private claim ``dlg``: how ``sub`` and ``act`` are to be read. ``None``: nobody acts in this token."""
    try:
        return profile_of(claims)
    except ValueError as error:
        raise ClaimInvalid("claim dlg names no delegation profile that is known here", detail=str(error)) from error


def check_profile(profile: Profile | None, accepted: AbstractSet[Profile]) -> None:
    """A token in which somebody acts is read in its own profile or not at all."""
    if profile is not None and profile not in accepted:
        raise ClaimInvalid(
            f'the token is of the delegation profile "{profile}", which is not accepted here',
            detail=f"accepted: {_any_of(accepted)}",
        )


def check_required(claims: Claims, required: AbstractSet[str]) -> None:
    """RFC 9068 §2.2: "The following claims are REQUIRED"; a claim that is null is not there."""
    missing = sorted(name for name in required if claims.get(name) is None)
    if missing:
        raise ClaimInvalid(f"claim {missing[0]} is missing", detail=f"missing: {', '.join(missing)}")


def quoted(value: object) -> str:
    """A value of an unverified token as an error may show it."""
    if not isinstance(value, str):
        return f"of type {type(value).__name__}"
    shown = "".join(character if character.isprintable() else "?" for character in value[:_MAX_QUOTED])
    return f'"{shown}"' if len(value) <= _MAX_QUOTED else f'"{shown}…"'


def _any_of(accepted: AbstractSet[str]) -> str:
    return " or ".join(f'"{name}"' for name in sorted(accepted)) or "none"
