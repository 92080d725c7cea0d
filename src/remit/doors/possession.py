"""Rule: a request → the token it shows, with the proof of possession where one comes with it (RFC 6750, RFC 9449 §7).

A token is read from exactly one ``Authorization`` header, never from the query or the body: URLs are logged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import Headers

from remit.clock import Clock
from remit.credential import ConfirmedToken, UnverifiedToken
from remit.doors.challenge import Challenge, malformed
from remit.errors import ProofInvalid
from remit.tokens.dpop import DpopProofs, Proof

_SHOWN = re.compile(r"(?:bearer|dpop) +([A-Za-z0-9\-._~+/]+=*) *", re.IGNORECASE)  # RFC 6750 §2.1, RFC 9449 §7.1
_MAX_QUERY_FIELDS: Final = 100


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request shows of its caller.

    ``url`` is where the client sent it to, without query; empty where that is not known, so that no proof counts.
    ``authorization`` and ``dpop`` are the values of these headers, all of them.
    """

    method: str
    url: str
    authorization: Sequence[str] = field(repr=False)
    dpop: Sequence[str] = field(repr=False)
    query: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, headers: Headers, *, method: str, url: str, query: bytes) -> Shown:
        """With the headers of a request."""
        return cls(method, url, headers.getlist("authorization"), headers.getlist("dpop"), query)


class TokenReader:
    """Reads the tokens of requests, and checks the proofs that come with them by ``clock``."""

    def __init__(self, clock: Clock, proofs: DpopProofs | None = None) -> None:
        self._clock = clock
        self._proofs = proofs or DpopProofs()

    def read(self, shown: Shown) -> UnverifiedToken | Challenge:
        """The token of a request, or what to answer. Scopes are left to the caller to add.

        ``Authorization: DPoP`` needs exactly one ``DPoP`` header; the token is a ``ConfirmedToken`` then. Beside
        ``Bearer`` that header is passed over: whoever verifies the token finds whether it is bound.
        A strange scheme counts as no token at all (RFC 6750 §3.1: no error code then); several ways or headers at
        once, and a token in the query, are ``invalid_request``.

        Raises ``ProofInvalid``.
        """
        if _names_token(shown.query):
            return Challenge(400, "invalid_request", "send the access token in the Authorization header only")
        if len(shown.authorization) > 1:
            return Challenge(400, "invalid_request", "send one Authorization header only")
        scheme = shown.authorization[0].split(" ", 1)[0].lower() if shown.authorization else ""
        if scheme not in {"bearer", "dpop"}:
            return Challenge(401)
        if not (match := _SHOWN.fullmatch(shown.authorization[0])):
            return malformed(dpop=scheme == "dpop")
        token = UnverifiedToken(match[1])
        return token if scheme == "bearer" else self._confirmed(token, shown)

    def _confirmed(self, token: UnverifiedToken, shown: Shown) -> ConfirmedToken:
        if len(shown.dpop) != 1:
            raise ProofInvalid("the DPoP proof is not accepted", detail=f"{len(shown.dpop)} DPoP headers, not one")
        now = self._clock.now()
        proof = self._proofs.check(shown.dpop[0], shown.method, shown.url, token, now=now)
        return ConfirmedToken(token.reveal(), proof.thumbprint, _Spending(self._proofs, proof, now))


@dataclass(slots=True)
class _Spending:
    """Lets a proof count once for the one request it came with, however often its token is verified."""

    proofs: DpopProofs
    proof: Proof
    now: float
    spent: bool = False

    def __call__(self) -> None:
        if not self.spent:
            self.proofs.spend(self.proof, now=self.now)
            self.spent = True


def _names_token(query: bytes) -> bool:
    try:
        fields = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS)
    except ValueError:  # more fields than anybody needs
        return True
    return any(name == "access_token" for name, _ in fields)
