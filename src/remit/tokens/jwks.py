"""An issuer's keys: given, asked for in process, or fetched and cached (door)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import httpx
import jwt

from remit.errors import KeysUnavailable, SettingsInvalid, SignatureInvalid
from remit.tokens import strict_json
from remit.tokens.keyset import KeySet
from remit.web import AnswerTooLarge, fresh_seconds, is_secure, send_bounded

_MAX_AGE: Final = 600.0  # seconds a fetched set is fresh, whatever Cache-Control allows
_EARLY: Final = 0.8  # after this part of that time it is fetched again, without anybody waiting
_COOL_DOWN: Final = 30.0  # seconds between two fetches, whatever happens
_RETRY: Final = 5.0  # the same while there are no keys at all
_STALE: Final = 3600.0  # seconds an outdated set is still used while none can be fetched
_FETCH_SECONDS: Final = 5.0
_FETCH_BYTES: Final = 256 * 1024


class KeySource(Protocol):
    """Where the keys of one issuer come from.

    ``generation`` is another number whenever the keys are others: what an earlier generation verified must be
    verified again, because its key may have been withdrawn. Reading it is cheap.
    """

    @property
    def generation(self) -> int:
        """Which keys these are."""
        ...

    def are_fresh(self, now: float) -> bool:
        """Whether these are still known to be the issuer's keys; where not, only ``key`` can tell. Cheap, too."""
        ...

    async def key(self, kid: str | None, alg: str, *, now: float) -> jwt.PyJWK:
        """The key of ``kid`` for ``alg``.

        Raises ``SignatureInvalid`` where there is none, ``KeysUnavailable`` where that cannot be known now.
        """
        ...


class StaticKeys:
    """Keys from a JWKS that does not change."""

    generation: Final = 0

    def __init__(self, document: Mapping[str, Any]) -> None:
        try:
            self._keys = KeySet(document)
        except ValueError as error:
            raise SettingsInvalid(str(error), hint="give a JWKS with a public signature key") from error

    def are_fresh(self, now: float) -> bool:  # noqa: ARG002  as the protocol has it
        """They never change."""
        return True

    async def key(self, kid: str | None, alg: str, *, now: float) -> jwt.PyJWK:  # noqa: ARG002  as the protocol has it
        """The key of ``kid`` for ``alg``, or ``SignatureInvalid``."""
        return _found(self._keys.find(kid, alg))


class LiveKeys:
    """Keys of an issuer in this process. ``jwks`` is asked for each token, so a rotated key counts at once.

    It must be quick, and should give the same object for as long as the keys are the same.
    """

    def __init__(self, jwks: Callable[[], Mapping[str, Any]]) -> None:
        self._jwks = jwks
        self._document: Mapping[str, Any] | None = None
        self._keys: KeySet | None = None
        self._trouble = ""
        self._generation = 0

    @property
    def generation(self) -> int:
        """Goes up with every change of the issuer's keys."""
        self._look()
        return self._generation

    def are_fresh(self, now: float) -> bool:  # noqa: ARG002  as the protocol has it
        """``generation`` has just looked."""
        return True

    async def key(self, kid: str | None, alg: str, *, now: float) -> jwt.PyJWK:  # noqa: ARG002  as the protocol has it
        """The key of ``kid`` for ``alg``, or ``SignatureInvalid``; ``KeysUnavailable`` where the set is no good."""
        self._look()
        if self._keys is None:
            raise KeysUnavailable("the issuer has no usable key now", detail=self._trouble)
        return _found(self._keys.find(kid, alg))

    def _look(self) -> None:
        document = self._jwks()
        if document is self._document or document == self._document:
            return
        self._generation += 1
        self._document, self._keys = document, None
        try:
            self._keys = KeySet(document)
        except ValueError as error:
            self._trouble = str(error)


class JwksClient:
    """Keys fetched from a ``jwks_uri`` (RFC 8414 §2) and kept.

    A set is fresh for ``max-age``, at most ten minutes, and asked for anew, without anybody waiting, when four fifths
    of that have passed. An unknown ``kid`` asks once more, but never sooner than 30 seconds after the last time;
    concurrent callers share one fetch. While no usable set can be fetched the last one serves for another hour, and
    nobody waits for the attempts. A set without a usable key is an error and replaces nothing.

    Raises ``SettingsInvalid`` where ``jwks_uri`` is not https (http to this machine is allowed) or ``client``
    follows redirects: the keys come from the configured address or not at all.
    """

    def __init__(self, jwks_uri: str, *, client: httpx.AsyncClient) -> None:
        if not is_secure(jwks_uri):
            raise SettingsInvalid(f'jwks_uri "{jwks_uri}" is not https', hint="give the issuer's https jwks_uri")
        if client.follow_redirects:
            raise SettingsInvalid("keys are fetched without redirects", hint="pass a client of remit.web.http_client")
        self._uri = jwks_uri
        self._client = client
        self._keys: KeySet | None = None
        self._document: object = None
        self._generation = 0
        self._fetched_at = 0.0
        self._fresh_for = 0.0
        self._tried_at: float | None = None
        self._trouble = ""  # what went wrong the last time, if anything did
        self._flight: asyncio.Task[None] | None = None

    @property
    def generation(self) -> int:
        """Goes up whenever other keys were fetched."""
        return self._generation

    def are_fresh(self, now: float) -> bool:
        """Whether they need not be fetched again yet."""
        # A clock that was set back makes everything stale, never fresh for longer.
        return self._keys is not None and 0 <= now - self._fetched_at < self._fresh_for

    async def key(self, kid: str | None, alg: str, *, now: float) -> jwt.PyJWK:
        """The key of ``kid`` for ``alg``; fetches where that is needed and allowed."""
        if not self.are_fresh(now) and not (self._trouble and self._is_usable(now)):
            await self._refresh(now)
        elif not self._is_young(now):
            self._start_fetch(now)  # these keys will do meanwhile
        key = self._usable(now).find(kid, alg)
        if key is None:
            await self._refresh(now)
            key = self._usable(now).find(kid, alg)
        if key is None and self._trouble:
            # It may be a new key: nothing is known against the token while the set cannot be fetched.
            raise self._unavailable()
        return _found(key)

    def _is_young(self, now: float) -> bool:
        return 0 <= now - self._fetched_at < self._fresh_for * _EARLY

    def _is_usable(self, now: float) -> bool:
        return self._keys is not None and now - self._fetched_at < self._fresh_for + _STALE

    def _usable(self, now: float) -> KeySet:
        if self._keys is None or not self._is_usable(now):
            raise self._unavailable()
        return self._keys

    async def _refresh(self, now: float) -> None:
        """Wait for the fetch that is under way, or for a new one unless that was tried a moment ago."""
        self._start_fetch(now)
        if self._flight is not None:
            # Shielded: a caller that gives up does not take the keys from the others.
            await asyncio.shield(self._flight)

    def _start_fetch(self, now: float) -> None:
        if self._flight is not None and not self._flight.done():
            return
        self._flight = None
        pause = _COOL_DOWN if self._keys else _RETRY
        if self._tried_at is not None and 0 <= now - self._tried_at < pause:
            return
        self._tried_at = now
        self._flight = asyncio.create_task(self._fetch(now))

    async def _fetch(self, now: float) -> None:
        request = self._client.build_request("GET", self._uri, headers={"Accept": "application/json"})
        try:
            answer = await send_bounded(self._client, request, seconds=_FETCH_SECONDS, max_bytes=_FETCH_BYTES)
            if answer.status != 200:
                raise ValueError(f"status {answer.status}")  # noqa: TRY301  every trouble ends in the same place
            document = strict_json.loads(answer.body)
            keys = KeySet(document)
        except (httpx.HTTPError, TimeoutError, AnswerTooLarge, ValueError) as error:
            self._trouble = f"{type(error).__name__}: {error}"
            return
        if document != self._document:
            self._document, self._keys = document, keys
            self._generation += 1
        self._trouble = ""
        self._fetched_at = now
        self._fresh_for = fresh_seconds(
            answer.headers.get("cache-control", ""), least=_COOL_DOWN, most=_MAX_AGE, unsaid=_MAX_AGE
        )

    def _unavailable(self) -> KeysUnavailable:
        return KeysUnavailable(
            "the issuer's keys cannot be fetched now",
            detail=f"{self._uri}: {self._trouble}",
            hint="check that the issuer's jwks_uri answers with its public keys",
        )


def _found(key: jwt.PyJWK | None) -> jwt.PyJWK:
    if key is None:
        raise SignatureInvalid("no trusted key of the issuer fits this token")
    return key
