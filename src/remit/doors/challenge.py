"""Rule: what a request is told whose token is not enough (RFC 6750, RFC 9449, RFC 9470, RFC 9728).

Descriptions are fixed sentences by error code, so nothing a caller sent comes back in a header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from remit.errors import (
    AuthenticationError,
    ProofInvalid,
    RemitError,
    ScopeInsufficient,
    StepUpRequired,
    TokenMissing,
    TokenUnbound,
)
from remit.oauth import WELL_KNOWN_PROTECTED_RESOURCE, format_scope
from remit.tokens.dpop import PROOF_ALGORITHMS

#: What may stand in a list of the header: RFC 6749 §3.3, which also keeps quotes and line breaks out.
_LISTED = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_BAD_PROOF: Final = "invalid_dpop_proof"  # RFC 9449 §12.2

_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "token_malformed": "the access token cannot be read",
    "signature_invalid": "the access token is not signed by a trusted key",
    "issuer_untrusted": "the access token is from an issuer that is not accepted here",
    "audience_mismatch": "the access token is not for this server",
    "token_expired": "the access token has expired",
    "token_not_yet_valid": "the access token is not valid yet",
    "token_type_mismatch": "the access token is of another kind",
    "token_revoked": "the access token was revoked",
    "token_inactive": "the access token is not active",
    "token_unbound": "the access token and the proof of possession do not belong together",
    "proof_invalid": "the DPoP proof is not accepted",
    "insufficient_scope": "the access token lacks scopes this needs",
    "insufficient_user_authentication": "the user has to sign in again for this",
}


@dataclass(frozen=True, slots=True)
class Challenge:
    """One refusal: the status, the RFC 6750 §3.1 error (empty where no token was sent) and the scopes to ask for.

    ``acr_values`` and ``max_age`` (seconds; 0: no matter) say how the user has to sign in. ``dpop``: the caller speaks
    DPoP, or has to, and is told in its words too.
    """

    status: int
    error: str = ""
    description: str = ""
    scopes: tuple[str, ...] = ()
    acr_values: tuple[str, ...] = ()
    max_age: int = 0
    dpop: bool = False

    def header(self, metadata_url: str) -> str:
        """The ``WWW-Authenticate`` value (RFC 6750 §3, RFC 9470 §3, RFC 9728 §5.1), ``Bearer`` first."""
        told = {"error": self.error, "error_description": self.description}
        needs = {
            "scope": format_scope(self.scopes),
            "acr_values": " ".join(self.acr_values),
            "max_age": self.max_age,
            "resource_metadata": metadata_url,
        }
        # A bad proof is no fault of a bearer token, and that code is DPoP's own.
        bearer = _written("Bearer", needs if self.error == _BAD_PROOF else {**told, **needs})
        if not self.dpop:
            return bearer
        return f"{bearer}, {_written('DPoP', {**told, 'algs': ' '.join(PROOF_ALGORITHMS)})}"  # RFC 9449 §7.1


def _written(scheme: str, parameters: Mapping[str, object]) -> str:
    return f"{scheme} " + ", ".join(f'{name}="{value}"' for name, value in parameters.items() if value)


def malformed(*, dpop: bool) -> Challenge:
    """What is told whose token does not have the form of one."""
    return Challenge(401, "invalid_token", _DESCRIPTIONS["token_malformed"], dpop=dpop)


def challenge_for(error: AuthenticationError, scopes: tuple[str, ...], *, dpop: bool = False) -> Challenge:
    """What a token that was not accepted is told. Says which rule it broke, never what it held.

    ``dpop``: the token came with a proof of possession.
    """
    if isinstance(error, TokenMissing):
        return Challenge(401, scopes=scopes)
    description = _DESCRIPTIONS.get(error.code, "the access token is not accepted")
    code = _BAD_PROOF if isinstance(error, ProofInvalid) else "invalid_token"
    return Challenge(401, code, description, scopes, dpop=dpop or isinstance(error, ProofInvalid | TokenUnbound))


def step_up_for(error: RemitError, scopes: tuple[str, ...]) -> Challenge | None:
    """What a caller is told whose token is good but does not suffice; ``None`` for an error that no token cures.

    403 with all scopes that are needed (RFC 6750 §3.1), ``scopes`` among them: clients ask for exactly what is named.
    401 with how the user has to sign in (RFC 9470 §3).
    """
    if not isinstance(error, ScopeInsufficient | StepUpRequired):
        return None
    description = _DESCRIPTIONS[error.code]
    if error.call_id:
        description = f"{description} (audit id {error.call_id})"
    needed = _listed((*scopes, *error.scope.split()))
    if isinstance(error, ScopeInsufficient):
        return Challenge(403, error.code, description, needed)
    return Challenge(401, error.code, description, needed, _listed(error.acr_values), error.max_age)


def _listed(values: Iterable[str]) -> tuple[str, ...]:
    """Each once; without those that cannot be written, which no client could ask for."""
    return tuple(dict.fromkeys(value for value in values if _LISTED.fullmatch(value)))


def metadata_path(resource: str) -> str:
    """Path of the metadata: the well-known name before the resource's own path (RFC 9728 §3.1)."""
    return WELL_KNOWN_PROTECTED_RESOURCE + urlsplit(resource).path.rstrip("/")


def metadata_url(resource: str) -> str:
    """Where the resource's metadata are."""
    parts = urlsplit(resource)
    return f"{parts.scheme}://{parts.netloc}{metadata_path(resource)}"
