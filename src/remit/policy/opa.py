"""Door: an OPA server that decides, asked over its REST API by TCP or a unix socket.

Permit only where the server answers 200 with a JSON object whose ``result`` is a well-formed permit. Everything else
is a deny that says what was wrong, in words of its own: OPA's errors may quote the input. Built-in functions that fail
end the evaluation (``strict-builtin-errors``), as in the embedded engine.

Which policy decides is the server's affair: what it was given has NOT passed ``remit.policy.gate``.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from remit.clock import Clock
from remit.credential import Credential
from remit.errors import PolicyInvalid
from remit.policy.breaker import Breaker
from remit.policy.decision import Basis, Decision, Deny, Places, failed, read_decision, supported_by
from remit.policy.embedded import TRIALS, Asked
from remit.policy.input import Phase
from remit.policy.opa_answer import Said, Undecided, read_answer
from remit.web import Answer, AnswerTooLarge, http_client, is_secure, nothing_was_sent, send_bounded

_CONNECT_SECONDS: Final = 0.3
_MAX_BYTES: Final = 1024 * 1024
_AT_ONCE: Final = 32
_AT_ONCE_OF_A_LIST: Final = 8
_FAILURES_IN_A_ROW: Final = 5
_PAUSE: Final = 2.0
#: What a proxy answers for a server that is gone. OPA's own 500 is an evaluation that failed, which is the input's doing.
_GONE: Final = frozenset({502, 503, 504})
#: The first OPA that knows ``import future.keywords.not``: before it, a negated call with an undefined operand is no deny.
_OLDEST: Final = (1, 17)

_DECISION: Final = re.compile(r"[A-Za-z0-9_]+(/[A-Za-z0-9_]+)*")
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_VERSION: Final = re.compile(r"v?(\d{1,6})\.(\d{1,6})\..*")


@dataclass(frozen=True, slots=True)
class OpaPlace:
    """Where an OPA server is: its ``url``, or the unix ``socket`` it listens on. ``token`` is sent as a bearer.

    ``decision`` is the path below ``/v1/data``. ``timeout`` bounds a decision, in seconds, with everything that
    belongs to it. Raises ``PolicyInvalid``: a URL is https, or of this machine, and there are no sockets on Windows.
    """

    url: str = ""
    socket: Path | None = None
    token: Credential | None = None
    decision: str = "remit/authz/decision"
    timeout: float = 1.0

    def __post_init__(self) -> None:
        if bool(self.url) == (self.socket is not None):
            raise PolicyInvalid("an OPA server has a url or a socket, and not both", where="policy.opa")
        if self.url and ("?" in self.url or not is_secure(self.url)):
            raise PolicyInvalid(
                "the url of the OPA server is neither https nor of this machine", where="policy.opa.url"
            )
        if self.socket and sys.platform == "win32":
            raise PolicyInvalid(
                "OPA cannot be asked over a unix socket on Windows",
                where="policy.opa.socket",
                hint="set policy.opa.url",
            )
        if self.token and not _TOKEN.fullmatch(self.token.reveal()):
            raise PolicyInvalid("the token for the OPA server cannot be sent in a header", where="policy.opa.token")
        if not _DECISION.fullmatch(self.decision):
            raise PolicyInvalid("this is no path of a decision", where="policy.opa.decision")

    @property
    def name(self) -> str:
        """The URL or the socket's path, for people."""
        return self.url or str(self.socket)

    @property
    def entrypoint(self) -> str:
        """The decision as Rego names it."""
        return f"data.{self.decision.replace('/', '.')}"

    def endpoint(self, path: str) -> httpx.URL:
        """The URL of ``path`` at the server."""
        return httpx.URL(f"{self.url.rstrip('/') or 'http://localhost'}/{path}")


class OpaEngine:
    """``PolicyEngine`` that asks an OPA server. One per process and event loop; ``check_ready`` before it is used."""

    def __init__(self, place: OpaPlace, clock: Clock) -> None:
        self._place = place
        self._clock = clock
        connect = min(_CONNECT_SECONDS, place.timeout)
        self._http = http_client(connect=connect, total=place.timeout, connections=_AT_ONCE, socket=place.socket)
        self._url = place.endpoint(f"v1/data/{place.decision}?strict-builtin-errors=true&provenance=true")
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._breaker = Breaker(_FAILURES_IN_A_ROW, _PAUSE)
        self._revision = ""

    @property
    def revision(self) -> str:
        """That of the last decision; empty before the first."""
        return self._revision

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def decide(self, document: Mapping[str, Any]) -> Decision:
        """See ``PolicyEngine.decide``."""
        started = self._clock.monotonic()
        asked = Asked.of(document)
        said, problem = Said(), asked.problem
        if not problem:
            try:
                said = await self._said(asked.text)
            except Undecided as error:
                problem = str(error)
        duration = round((self._clock.monotonic() - started) * 1_000_000)
        decision_id = said.decision_id or secrets.token_hex(12)
        basis = Basis(decision_id, said.revision or self._revision, asked.digest, duration)
        if problem:
            return failed(basis, problem)
        return read_decision(said.result, basis, Places(), supported_by(document))

    async def decide_many(self, documents: Sequence[Mapping[str, Any]]) -> list[Decision]:
        """See ``PolicyEngine.decide_many``. A long list leaves room for others."""
        turns = asyncio.Semaphore(_AT_ONCE_OF_A_LIST)

        async def one(document: Mapping[str, Any]) -> Decision:
            async with turns:
                return await self.decide(document)

        return await asyncio.gather(*map(one, documents))

    async def check_ready(self) -> None:
        """For start-up. Raises ``PolicyInvalid`` for a server that cannot be used.

        It must be reachable, have loaded its bundles, be of a version that reads policies as the embedded engine does,
        and give a well-formed decision about nobody and nothing in every phase.
        """
        await self._check_health()
        for phase, trial in zip(Phase, TRIALS, strict=True):
            try:
                answer = await self._answer(self._question(trial.encode()), self._deadline())
                said = read_answer(answer, self._place.entrypoint)
            except Undecided as error:
                raise self._without_decision(phase, str(error)) from error
            self._check_version(said.version)
            decision = read_decision(said.result, Basis("", said.revision), Places())
            if isinstance(decision, Deny) and decision.failed:
                raise self._without_decision(phase, decision.detail)

    async def _check_health(self) -> None:
        """OPA answers 500 while a bundle is missing. Any other status is no matter: a server may hide its health."""
        request = httpx.Request(
            "GET", self._place.endpoint("health?bundles=true&plugins=true"), headers=self._headers()
        )
        try:
            answer = await self._answer(request, self._deadline())
        except Undecided as error:
            raise self._unusable(
                "the OPA server cannot be asked", str(error), "start it, or mend policy.opa"
            ) from error
        if answer.status == 500:
            hint = "wait until its bundles are loaded; its /health?bundles&plugins says when"
            raise self._unusable("the OPA server is not ready", "its /health answers with status 500", hint)

    def _check_version(self, version: str) -> None:
        found = _VERSION.fullmatch(version)
        if not found or (int(found[1]), int(found[2])) < _OLDEST:
            oldest = ".".join(map(str, _OLDEST))
            raise self._unusable(
                "the OPA server is too old, or does not say how old it is", version, f"run OPA {oldest} or newer"
            )

    def _without_decision(self, phase: Phase, detail: str) -> PolicyInvalid:
        hint = f"have {self._place.entrypoint} be {{allow, reasons, obligations, policy}} for every input"
        return self._unusable(f"the OPA server gives no usable decision for {phase}", detail, hint)

    def _unusable(self, message: str, detail: str, hint: str) -> PolicyInvalid:
        return PolicyInvalid(message, where=self._place.name, detail=detail, hint=hint)

    # ── asking ───────────────────────────────────────────────────────────────────────────

    async def _said(self, text: bytes) -> Said:
        """What the server says, unless it is known not to be well. Raises ``Undecided``."""
        deadline = self._deadline()
        try:
            async with asyncio.timeout_at(deadline):
                await self._turns.acquire()
        except TimeoutError:
            raise Undecided("too many decisions were under way at the OPA server") from None
        try:
            if self._breaker.is_open:
                await self._probe(deadline)
            said = read_answer(await self._watched(text, deadline), self._place.entrypoint)
        finally:
            self._turns.release()
        self._revision = said.revision
        return said

    async def _probe(self, deadline: float) -> None:
        """Ask about nobody whether the server is well again, so that no caller's arguments can keep it shut off."""
        if not self._breaker.begin_probe(self._clock.monotonic()):
            raise Undecided("the OPA server failed several times in a row, so it is not asked for a moment")
        try:
            await self._watched(TRIALS[0].encode(), deadline)
        finally:
            self._breaker.end_probe()

    async def _watched(self, text: bytes, deadline: float) -> Answer:
        try:
            answer = await self._answer(self._question(text), deadline)
        except _Unwell:
            self._breaker.failed(self._clock.monotonic())
            raise
        self._breaker.succeeded()
        return answer

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._place.timeout

    async def _answer(self, request: httpx.Request, deadline: float) -> Answer:
        """The server's answer, of any status that is its own. Raises ``Undecided``, ``_Unwell``."""
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._sent(request)
        except (TimeoutError, httpx.ReadTimeout):
            raise _Unwell(f"the OPA server did not answer within {self._place.timeout:g} s") from None
        except AnswerTooLarge:
            raise Undecided(f"the OPA server's answer is larger than {_MAX_BYTES} bytes") from None
        except httpx.HTTPError as error:
            fault = "cannot be reached" if nothing_was_sent(error) else "broke off its answer, or does not speak HTTP"
            raise _Unwell(f"the OPA server {fault}") from error
        if answer.status in _GONE:
            raise _Unwell(f"the OPA server answered with status {answer.status}")
        return answer

    async def _sent(self, request: httpx.Request) -> Answer:
        """Sent once more if no connection came about."""
        try:
            return await self._send(request)
        except httpx.HTTPError as error:
            if not nothing_was_sent(error):
                raise
        return await self._send(request)

    async def _send(self, request: httpx.Request) -> Answer:
        if self._http.is_closed:
            raise Undecided("the engine is closed")
        return await send_bounded(self._http, request, seconds=self._place.timeout, max_bytes=_MAX_BYTES)

    def _question(self, text: bytes) -> httpx.Request:
        headers = {"Content-Type": "application/json", **self._headers()}
        return httpx.Request("POST", self._url, headers=headers, content=b'{"input":%b}' % text)

    def _headers(self) -> dict[str, str]:
        token = self._place.token
        bearer = {"Authorization": f"Bearer {token.reveal()}"} if token else {}  # read by the OPA server alone
        return {"Accept": "application/json", **bearer}


class _Unwell(Undecided):
    """The server is to blame, whatever was asked."""
