"""Door: passes one request on to its API and the answer back, part by part as they come.

Nothing is kept: each side is read only as fast as the other takes it. Every silence is bounded, and when the caller
goes away, the request to the API ends too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from starlette.types import Receive, Send

from remit.credential import Credential
from remit.doors.gateway.headers import FieldsRefused, response_fields
from remit.doors.gateway.leak import TokenRepeated, TokenWatch
from remit.doors.gateway.route import Route
from remit.errors import (
    DownstreamError,
    DownstreamFailed,
    DownstreamRefused,
    DownstreamTimeout,
    DownstreamUnavailable,
    RemitError,
    RequestTimeout,
    RequestTooLarge,
    ResponseUnusable,
)
from remit.web import HttpClient, Incoming, Outgoing, PeerBroke, PeerUnreachable, streamed


@dataclass(slots=True)
class Traffic:
    """What went through, for the trail. ``status`` is 0 until an answer came; bytes are those of the bodies."""

    method: str
    url: str
    template: str
    status: int = 0
    sent: int = 0
    received: int = 0


class Answer:
    """What the caller gets. ``started``: its beginning is on its way, so no other answer can be given."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def start(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        """Status and header fields."""
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": fields})

    async def part(self, body: bytes) -> None:
        """Some of the body; returns once there is room for more."""
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        """The answer is whole. Without this the connection is cut, so that nobody takes a part for all of it."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def whole(self, status: int, fields: list[tuple[bytes, bytes]], body: bytes = b"") -> None:
        """All of an answer at once."""
        await self.start(status, fields)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


@dataclass(frozen=True, slots=True)
class CallerSide:
    """The caller's side of a request. ``length`` of its body; ``None``: unknown. ``gone`` is called when they leave."""

    receive: Receive
    answer: Answer
    length: int | None
    gone: Callable[[], None]


class Carriage:
    """One request on its way there and back. ``traffic`` tells how far it came, at any time."""

    def __init__(
        self, client: HttpClient, caller: CallerSide, route: Route, outgoing: Outgoing, token: Credential
    ) -> None:
        self._client = client
        self._caller = caller
        self._route = route
        self._watch = TokenWatch(token)
        self._outgoing = outgoing
        self.traffic = Traffic(outgoing.method, outgoing.url, route.template)
        self._silence = asyncio.timeout(route.bounds.timeout)
        self._waits_for_caller = False
        self._body_read = asyncio.Event()
        self._fault: RemitError | None = None

    async def go(self, audit_id: str) -> None:
        """Carry it. What the API answers is the caller's, whole, before a 4xx or 5xx of it is raised.

        Raises leaves of ``DownstreamError``, ``RequestTooLarge`` and ``RequestTimeout``.
        """
        if (self._caller.length or 0) > self._route.bounds.request_bytes:
            raise self._too_large()
        outgoing = self._with_body()
        leaving = asyncio.ensure_future(self._notice_leaving())
        try:
            async with self._silence, streamed(self._client, outgoing) as incoming:
                await self._answer(incoming, audit_id)
        except TimeoutError as error:
            raise self._timed_out() from error
        except TokenRepeated as error:
            raise _repeated(self._route) from error
        except PeerUnreachable as error:
            raise DownstreamUnavailable(f"{self._route.name} cannot be reached", detail=str(error)) from error
        except PeerBroke as error:
            raise self._fault or DownstreamUnavailable(
                f"the connection to {self._route.name} broke; it may have acted all the same", detail=str(error)
            ) from error
        finally:
            leaving.cancel()
        _raise_for(self.traffic.status, self._route)

    # ── there ────────────────────────────────────────────────────────────────────────────

    def _with_body(self) -> Outgoing:
        if self._caller.length == 0:
            self._body_read.set()
            return self._outgoing
        given = self._outgoing
        fields = list(given.headers)
        if self._caller.length is not None:
            fields.append(("content-length", str(self._caller.length)))
        return Outgoing(given.method, given.url, fields, self._body())

    async def _body(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            self._waits_for_caller = True
            message = await self._caller.receive()
            self._waits_for_caller = False
            if message["type"] == "http.disconnect":
                self._caller.gone()
                raise ConnectionError("the caller has gone")
            part, more = message.get("body", b""), message.get("more_body", False)
            self.traffic.sent += len(part)
            if self.traffic.sent > self._route.bounds.request_bytes:
                self._fault = self._too_large()
                raise self._fault
            self._heard_of(self._route.bounds.timeout)
            if part:
                yield part
        self._body_read.set()

    def _too_large(self) -> RequestTooLarge:
        return RequestTooLarge(f"the body is longer than {self._route.bounds.request_bytes} bytes")

    async def _notice_leaving(self) -> None:
        """Only one may receive at a time, so this starts where the body ends."""
        await self._body_read.wait()
        while (await self._caller.receive())["type"] != "http.disconnect":
            pass
        self._caller.gone()

    # ── back ─────────────────────────────────────────────────────────────────────────────

    async def _answer(self, incoming: Incoming, audit_id: str) -> None:
        self.traffic.status = incoming.status
        fields = _fields_of(incoming, self._route)
        self._watch.check(b"\n".join(value for _, value in fields))
        limit = self._route.bounds.response_bytes
        await self._caller.answer.start(incoming.status, [*fields, (b"x-request-id", audit_id.encode())])
        self._heard_of(self._route.bounds.idle)
        async for part in incoming.body:
            self.traffic.received += len(part)
            if limit is not None and self.traffic.received > limit:
                raise _too_long(self._route)
            await self._hand_over(self._watch.let(part))
        await self._hand_over(self._watch.rest())

    async def _hand_over(self, part: bytes) -> None:
        if part:
            self._heard_of(self._route.bounds.idle)
            self._waits_for_caller = True
            await self._caller.answer.part(part)
            self._waits_for_caller = False
        self._heard_of(self._route.bounds.idle)

    def _heard_of(self, seconds: float) -> None:
        """Something moved: the next silence begins."""
        if not self._silence.expired():
            self._silence.reschedule(asyncio.get_running_loop().time() + seconds)

    def _timed_out(self) -> RemitError:
        if self._waits_for_caller:
            return RequestTimeout("the client kept the connection waiting for too long")
        name = self._route.name
        return DownstreamTimeout(
            f"{name} kept silent for too long; it may have acted all the same",
            detail=f"timeout {self._route.bounds.timeout:g} s, idle_timeout {self._route.bounds.idle:g} s",
            hint=f"raise the timeouts of route {name}, or find out why it is slow",
        )


def _repeated(route: Route) -> ResponseUnusable:
    return ResponseUnusable(
        f"the answer of {route.name} repeats the token it was called with, so it is withheld",
        hint=f"have the API of route {route.name} keep its requests' headers to itself",
    )


def _too_long(route: Route) -> ResponseUnusable:
    return ResponseUnusable(f"the answer of {route.name} is too long", hint=f"raise max_response_bytes of {route.name}")


def _fields_of(incoming: Incoming, route: Route) -> list[tuple[bytes, bytes]]:
    """The answer's fields, or why the answer is not passed on."""
    status = incoming.status
    if status in (401, 407):  # the caller's own token is good; another one from them would change nothing
        raise DownstreamRefused(
            f"{route.name} did not accept the token made for it",
            status=status,
            hint=f"compare audience and scopes of route {route.name} with what its API checks",
        )
    if not 200 <= status < 600:
        raise ResponseUnusable(f"{route.name} answered with no known status", status=status)
    try:
        fields = response_fields(incoming.headers, cookies=route.cookies)
    except FieldsRefused as error:
        raise ResponseUnusable(
            f"{route.name} answered with fields that cannot be passed on", detail=str(error)
        ) from error
    limit = route.bounds.response_bytes
    lengths = [value for name, value in fields if name == b"content-length"]
    if limit is not None and lengths and lengths[0].isdigit() and int(lengths[0]) > limit:
        raise _too_long(route)
    return fields


def _raise_for(status: int, route: Route) -> None:
    """For the trail: the API did not do it. Its own words have been passed on."""
    kind: type[DownstreamError] | None = (
        DownstreamFailed if status >= 500 else DownstreamRefused if status >= 400 else None
    )
    if kind is not None:
        raise kind(f"{route.name} answered {status}", status=status)
