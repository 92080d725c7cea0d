"""Path: a subject token → whom it proves, with which scopes.

Subject tokens come from this service itself and from the issuers its operator named. Each issuer has rules of its
own, and nothing that one issuer says of another's users is believed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from remit.credential import UnverifiedToken
from remit.errors import ClaimInvalid, IssuerUntrusted, SettingsInvalid
from remit.oauth import TYP_ACCESS_TOKEN
from remit.principal import Actor, Parties, Profile, chain_with_client
from remit.tokens.checks import read_name, read_scope
from remit.tokens.introspection import IntrospectedTokens, is_signed
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer, VerifiedToken, Verifier

#: No subject or actor token longer than this is read.
MAX_TOKEN_BYTES: Final = 16 * 1024
_PROFILES: Final = frozenset(Profile)
#: Not all of RFC 9068 §2.2: many issuers leave out ``client_id`` and ``jti``, which are not needed here.
_REQUIRED: Final = frozenset({"iss", "aud", "iat", "exp"})


@dataclass(frozen=True, slots=True)
class SubjectIssuer:
    """An issuer whose tokens prove a subject here, and in which claims it says who that is and what they may do.

    ``trusted``: by what its tokens are verified; no more than one issuer is asked about tokens (``IntrospectedTokens``).
    ``audiences``: what its tokens may be for, of what the exchanging client accepts; empty: all of that. ``typ``: as
    in ``Expectation``.
    """

    trusted: TrustedIssuer | IntrospectedTokens
    audiences: frozenset[str] = frozenset()
    typ: frozenset[str] = frozenset({TYP_ACCESS_TOKEN})
    subject_claim: str = "sub"
    scope_claim: str = "scope"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a subject token proves. ``sub_id``: their own id at their issuer, where ``parties`` have another name."""

    token: VerifiedToken
    parties: Parties
    scopes: tuple[str, ...]
    sub_id: str = ""

    def signed_in_through(self, own: frozenset[str] | None) -> Subject:
        """With the token's client as first link, where there is none yet (see ``chain_with_client``)."""
        token = self.token
        chain = chain_with_client(self.parties.chain, token.client_id, token.issuer, own)
        return self if chain is self.parties.chain else replace(self, parties=Parties(self.parties.principal, chain))


class SubjectTokens:
    """Reads the subject tokens of this service (``own``) and of ``issuers``."""

    def __init__(self, own: TrustedIssuer, issuers: Iterable[SubjectIssuer] = ()) -> None:
        # One verifier each: who the issuer is decides which ``typ`` and which claims a token must have.
        self._own = TokenVerifier([own], max_bytes=MAX_TOKEN_BYTES)
        self._foreign = [(_verifier(each.trusted), each) for each in issuers]
        self._asked = next((pair for pair in self._foreign if isinstance(pair[0], IntrospectedTokens)), None)
        names = [own.issuer, *(each.trusted.issuer for _, each in self._foreign)]
        if len(set(names)) != len(names):
            raise SettingsInvalid(
                "an issuer of subject tokens is named twice, or is this service itself",
                where="sts.subject_issuers",
                hint="name each other issuer once",
            )

    async def read(self, token: UnverifiedToken, audiences: frozenset[str], *, now: float) -> Subject:
        """Verify a subject token that is for one of ``audiences`` and map its claims.

        This does NOT ask whether the token was revoked or whether anybody may act for its subject.

        Raises a leaf of ``TokenInvalid``, or ``KeysUnavailable``.
        """
        if self._asked is not None and not is_signed(token):
            return await _verified(*self._asked, token, audiences, now)
        try:
            expect = Expectation(audiences, profiles=_PROFILES)
            return _own_subject(await self._own.verify(token, expect, now=now))
        except IssuerUntrusted:
            if not self._foreign:
                raise
        return await self._read_foreign(token, audiences, now)

    async def _read_foreign(self, token: UnverifiedToken, audiences: frozenset[str], now: float) -> Subject:
        *others, last = self._foreign
        for verifier, issuer in others:
            try:
                return await _verified(verifier, issuer, token, audiences, now)
            except IssuerUntrusted:
                continue
        return await _verified(*last, token, audiences, now)


def _verifier(trusted: TrustedIssuer | IntrospectedTokens) -> Verifier:
    return TokenVerifier([trusted], max_bytes=MAX_TOKEN_BYTES) if isinstance(trusted, TrustedIssuer) else trusted


async def _verified(
    verifier: Verifier, issuer: SubjectIssuer, token: UnverifiedToken, audiences: frozenset[str], now: float
) -> Subject:
    accepted = audiences & issuer.audiences if issuer.audiences else audiences
    expect = Expectation(accepted, typ=issuer.typ, required=_REQUIRED | {issuer.subject_claim})
    return _foreign_subject(await verifier.verify(token, expect, now=now), issuer)


def _own_subject(token: VerifiedToken) -> Subject:
    return Subject(token, token.parties, token.scopes, read_name(token.claims, "sub_id"))


def _foreign_subject(token: VerifiedToken, issuer: SubjectIssuer) -> Subject:
    """The principal is this issuer's, whatever ``sub_iss`` says."""
    name = read_name(token.claims, issuer.subject_claim)
    principal = Actor(name, token.issuer)
    scopes = token.scopes if issuer.scope_claim == "scope" else _scopes(token, issuer.scope_claim)
    sub_id = token.subject if issuer.subject_claim != "sub" else ""
    return Subject(token, Parties(principal, token.chain.within(token.issuer)), scopes, sub_id)


def _scopes(token: VerifiedToken, claim: str) -> tuple[str, ...]:
    """A list of scope tokens, or one string of them, in a claim of another name."""
    try:
        return read_scope({"scp": token.claims.get(claim, "")})
    except ClaimInvalid as error:
        raise ClaimInvalid(f"claim {claim} is no list of scopes") from error
