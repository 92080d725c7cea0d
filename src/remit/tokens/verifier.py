"""Unverified token → verified claims, for the issuers that are trusted (path)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from remit.credential import Credential, UnverifiedToken
from remit.errors import SettingsInvalid
from remit.tokens.checks import check_algorithm, check_issuer, check_typ
from remit.tokens.jwks import KeySource
from remit.tokens.keyset import ALGORITHMS
from remit.tokens.parse import MAX_TOKEN_BYTES, parse
from remit.tokens.signature import verify_signature
from remit.tokens.verified import RFC9068_CLAIMS, Expectation, VerifiedToken, check_expected

__all__ = ["RFC9068_CLAIMS", "Expectation", "TokenVerifier", "TrustedIssuer", "VerifiedToken", "Verifier"]

#: A verified signature is believed this long without asking for the key again, and no longer than the keys are fresh:
#: a withdrawn key stops counting no later than it would without this memory.
_REMEMBER_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer by its exact identifier, the signature algorithms it may use, and where its keys come from."""

    issuer: str
    algorithms: frozenset[str]
    keys: KeySource

    def __post_init__(self) -> None:
        if not self.issuer:
            raise SettingsInvalid("a trusted issuer has no name", hint="give the iss of its tokens")
        if not self.algorithms or not self.algorithms <= ALGORITHMS:
            raise SettingsInvalid(
                f'issuer "{self.issuer}" has signature algorithms {sorted(self.algorithms)}',
                hint=f"name those it signs with, of {', '.join(sorted(ALGORITHMS))}",
            )


class Verifier(Protocol):
    """Verifies tokens of some issuers, each in its way."""

    async def verify(self, token: UnverifiedToken, expect: Expectation, *, now: float) -> VerifiedToken:
        """The token, if it is sound and what is expected. Raises leaves of ``TokenInvalid`` or ``KeysUnavailable``.

        ``now``: seconds since the epoch. ``IssuerUntrusted`` is raised for a token of no issuer of this verifier.
        """
        ...


class TokenVerifier:
    """Verifies tokens of the trusted issuers; remembers which signatures it has verified.

    The memory belongs to this verifier's issuers and their rules: other rules need another verifier.
    """

    def __init__(
        self, issuers: Iterable[TrustedIssuer], *, max_bytes: int = MAX_TOKEN_BYTES, cache_size: int = 4096
    ) -> None:
        self._issuers: dict[str, TrustedIssuer] = {}
        for trusted in issuers:
            if trusted.issuer in self._issuers:
                raise SettingsInvalid(f'issuer "{trusted.issuer}" is trusted twice', hint="keep one of the two entries")
            self._issuers[trusted.issuer] = trusted
        self._max_bytes = max_bytes
        self._memory = _Memory(cache_size)

    async def verify(self, token: UnverifiedToken, expect: Expectation, *, now: float) -> VerifiedToken:
        """Verify a JWT access token as RFC 9068 §4 and RFC 8725 §3 say. ``now``: seconds since the epoch.

        1. Parse strictly: the text has one reading (``tokens.parse``).
        2. ``iss`` picks the rules; it is the only claim read before the signature is verified.
        3. ``typ`` is one of the kinds wanted here.
        4. ``alg`` is one of this issuer's.
        5. ``kid`` picks exactly one key of this issuer that fits ``alg``.
        6. The key made the signature.
        7. Every known claim has a value it may have (``VerifiedToken``).
        8. The token is for this place and this time: required claims, ``aud``, ``exp``, ``nbf``, ``iat``; and of a
           delegation profile that is read here.

        Steps 1, 2 and 4 to 7 depend on nothing but the text and this verifier's issuers; a token that passed them
        is remembered for at most ten minutes, never beyond ``exp``, and only while the issuer's keys are the same and
        fresh.
        Steps 3 and 8 are done every time.

        This does NOT ask the issuer whether the token was revoked, whether it was used before (``jti``), whether
        the client or an actor may do anything at all, or whether a key is held (``cnf``).

        Raises a leaf of ``TokenInvalid``, or ``KeysUnavailable`` where the issuer's keys cannot be had.
        """
        verified = self._recall(token, now)
        if verified is None:
            verified = await self._verify_unseen(token, expect, now)
        check_typ(verified.header, expect.typ)  # (3)
        check_expected(verified, expect, now=now)  # (8)
        return verified

    def _recall(self, token: UnverifiedToken, now: float) -> VerifiedToken | None:
        kept = self._memory.recall(token.digest, now)
        if kept is None:
            return None
        keys = self._issuers[kept.verified.issuer].keys
        # Keys that ought to be fetched again may have been withdrawn: asking for the key is what finds out.
        return kept.verified if kept.generation == keys.generation and keys.are_fresh(now) else None

    async def _verify_unseen(self, token: UnverifiedToken, expect: Expectation, now: float) -> VerifiedToken:
        parsed = parse(token, max_bytes=self._max_bytes)  # (1)
        trusted = self._issuers[check_issuer(parsed.claims, self._issuers.keys())]  # (2)
        check_typ(parsed.header, expect.typ)  # (3) before any key is fetched for a token of the wrong kind
        alg = check_algorithm(parsed.header, trusted.algorithms)  # (4)
        generation = trusted.keys.generation  # read first: of two, the older one is forgotten sooner
        key = await trusted.keys.key(parsed.header.get("kid"), alg, now=now)  # (5)
        verify_signature(token, key, alg)  # (6)
        verified = VerifiedToken(Credential(token.reveal()), parsed.header, parsed.claims)  # (7)
        self._memory.keep(token.digest, _Kept(now, generation, verified))
        return verified


@dataclass(frozen=True, slots=True)
class _Kept:
    """A token whose signature was verified, when, and with which keys of its issuer."""

    at: float
    generation: int
    verified: VerifiedToken


class _Memory:
    """Tokens whose signature was verified, by SHA-256 of their text."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[bytes, _Kept] = OrderedDict()

    def recall(self, digest: bytes, now: float) -> _Kept | None:
        """What is known of the token of that digest, while its signature need not be verified again."""
        kept = self._entries.get(digest)
        if kept is None:
            return None
        # A clock that was set back makes an entry from the future: it counts no more than an old one.
        if not kept.at <= now < min(kept.at + _REMEMBER_SECONDS, kept.verified.expires_at):
            del self._entries[digest]
            return None
        self._entries.move_to_end(digest)
        return kept

    def keep(self, digest: bytes, kept: _Kept) -> None:
        """Remember a verified token; the one unused for longest makes room."""
        self._entries[digest] = kept
        self._entries.move_to_end(digest)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)
