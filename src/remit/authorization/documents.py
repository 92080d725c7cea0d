"""Door: clients that are known by the document at the URL that is their id, fetched from wherever that is.

Anybody can have this service fetch a URL of their choosing, so all of it is bounded: where a connection may go
(``addresses``), how long it may take, how much may come, how many at once, how often from one host. Nothing but a
sound document is kept.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlsplit

import httpx

from remit.authorization.addresses import is_public, is_public_or_local
from remit.authorization.client import SignInClient
from remit.authorization.document import check_document_url, read_document
from remit.authorization.rates import Rate
from remit.clock import Clock
from remit.errors import GrantUnavailable, InvalidClient
from remit.tokens.jwks import JwksClient, KeySource
from remit.web import Answer, AnswerTooLarge, HttpClient, fresh_seconds, http_client, send_bounded

_SECONDS: Final = 5.0
_MAX_BYTES: Final = 16 * 1024
_AT_ONCE: Final = 8
_PER_HOST: Final = 10
_MAX_KEPT: Final = 1000
_LEAST_FRESH: Final = 60.0
_MOST_FRESH: Final = 86_400.0
_UNSAID: Final = 3600.0
#: Seconds that a document is still good for after that, while its host gives no answer.
_STALE: Final = 3600.0
_MAX_FLIGHTS: Final = 64
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Kept:
    client: SignInClient
    until: float


def client_for_strangers(*, local: bool = False, tls: ssl.SSLContext | None = None) -> HttpClient:
    """For URLs that anybody may choose: it reaches the public internet alone; with ``local`` private networks, too."""
    admits = is_public_or_local if local else is_public
    return http_client(connect=_SECONDS, total=_SECONDS, connections=_AT_ONCE, admits=admits, tls=tls)


class ClientDocuments:
    """Clients by their URL. ``http`` is a client for strangers.

    ``hosts``: the only ones that a URL may name; empty: any.
    """

    def __init__(self, http: HttpClient, clock: Clock, hosts: tuple[str, ...] = ()) -> None:
        self._http = http
        self._clock = clock
        self._hosts = hosts
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._keys: OrderedDict[str, JwksClient] = OrderedDict()
        self._flights: dict[str, asyncio.Task[SignInClient]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._rate = Rate(_PER_HOST)

    async def find(self, url: str) -> SignInClient:
        """The client of this id, from a document that is fresh.

        Raises ``InvalidClient`` where there is none that can be used, and ``GrantUnavailable`` where its host gives no
        answer now.
        """
        host = check_document_url(url, self._hosts)
        kept = self._kept.get(url)
        now = self._clock.monotonic()
        if kept is not None and now < kept.until:
            self._kept.move_to_end(url)
            return kept.client
        try:
            return await self._fetch_once(url, host)
        except GrantUnavailable:
            if kept is not None and now < kept.until + _STALE:
                return kept.client
            raise

    def keys_at(self, jwks_uri: str) -> KeySource:
        """The keys that a client has published at a URL which its document names."""
        keys = self._keys.get(jwks_uri) or JwksClient(jwks_uri, client=self._http)
        _keep(self._keys, jwks_uri, keys)
        return keys

    async def close(self) -> None:
        """Give up what is under way."""
        for flight in self._flights.values():
            flight.cancel()
        await self._http.aclose()

    async def _fetch_once(self, url: str, host: str) -> SignInClient:
        """All who want one document at a time share one request. Who gives up does not take it from the others."""
        flight = self._flights.get(url)
        if flight is None:
            if len(self._flights) >= _MAX_FLIGHTS or not self._rate.admits(host, self._clock.monotonic()):
                raise GrantUnavailable("metadata documents were asked for too often, try again later")
            flight = asyncio.create_task(self._fetch(url))
            self._flights[url] = flight
            flight.add_done_callback(_forget(self._flights, url))
        return await asyncio.shield(flight)

    async def _fetch(self, url: str) -> SignInClient:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        request = self._http.build_request("GET", url, headers=headers)
        try:
            async with asyncio.timeout(_SECONDS), self._slots:
                answer = await send_bounded(self._http, request, seconds=_SECONDS, max_bytes=_MAX_BYTES)
        except AnswerTooLarge as error:
            raise InvalidClient(f"the client's metadata document is longer than {_MAX_BYTES} bytes") from error
        except (httpx.HTTPError, TimeoutError) as error:
            detail = f"{urlsplit(url).hostname}: {type(error).__name__}: {error}"
            raise GrantUnavailable("the client's metadata document cannot be fetched now", detail=detail) from error
        client = read_document(url, _body(answer))
        fresh = fresh_seconds(
            answer.headers.get("cache-control", ""), least=_LEAST_FRESH, most=_MOST_FRESH, unsaid=_UNSAID
        )
        _keep(self._kept, url, _Kept(client, self._clock.monotonic() + fresh))
        return client


def _body(answer: Answer) -> bytes:
    """Of a document that was found, as what it is. A redirect is none: nobody else speaks for the URL."""
    if answer.status >= 500 or answer.status == 429:
        raise GrantUnavailable("the client's metadata document cannot be had now", detail=f"status {answer.status}")
    if answer.status != 200:
        raise InvalidClient("there is no metadata document at the client's URL", detail=f"status {answer.status}")
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = media_type.startswith("application/") and media_type.endswith("+json")
    if media_type != "application/json" and not is_json:
        raise InvalidClient("what is at the client's URL is not application/json")
    return answer.body


def _keep(kept: OrderedDict[str, T], name: str, value: T) -> None:
    """What was not asked for longest makes room."""
    kept[name] = value
    kept.move_to_end(name)
    while len(kept) > _MAX_KEPT:
        kept.popitem(last=False)


def _forget(flights: dict[str, asyncio.Task[SignInClient]], url: str) -> Callable[[asyncio.Task[SignInClient]], None]:
    def done(flight: asyncio.Task[SignInClient]) -> None:
        del flights[url]
        if not flight.cancelled():
            flight.exception()  # whoever waited has been told; if all have given up, nobody need be

    return done
