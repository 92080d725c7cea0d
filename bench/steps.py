"""What each step of a call costs, with the parts that serve, in this process; and what the exchange could cost."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from jwt.algorithms import ECAlgorithm

from bench.figures import CHECK_PROOF, VERIFY_NEW, VERIFY_SEEN, Rate, Step
from bench.server import USER
from remit.app.development import mint_for
from remit.app.wiring import App
from remit.bridge import Parts
from remit.call import NOBODY, ToolCall
from remit.clock import SystemClock
from remit.credential import ConfirmedToken, UnverifiedToken
from remit.doors.possession import Shown, TokenReader
from remit.downstream.request import CallContext, build_request
from remit.downstream.result import shape
from remit.exchange.messages import Target, Wanted
from remit.permission.panel import Asked
from remit.principal import ActingParty, Caller

_URL: Final = "https://bench.example/mcp"
_DOOR: Final = "bench"
_TOOL: Final = "get_order"
_ARGUMENTS: Final = {"order_id": "O1001"}


def token_of(text: str) -> UnverifiedToken:
    """A token as it comes in at a door."""
    return UnverifiedToken(text)


class Stopwatch:
    """Laps of wall and CPU time (of all threads, so that the trail's writer counts), by name."""

    def __init__(self) -> None:
        self._laps: dict[str, list[tuple[float, float]]] = {}

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        """One lap of ``name``."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        lap = (time.perf_counter() - wall, time.process_time() - cpu)
        self._laps.setdefault(name, []).append(lap)

    def steps(self) -> list[Step]:
        """What the laps come to, in the order of their first."""
        return [Step.of(name, laps) for name, laps in self._laps.items()]


async def measure_steps(app: App, times: int) -> list[Step]:
    """Each step so many times, one call after the other."""
    parts = app.bridge._parts  # noqa: SLF001  the steps are timed with the very parts that serve
    watch = Stopwatch()
    seen = UnverifiedToken(mint_for(app, USER).reveal())
    holder = KeyHolder()
    await app.bridge.call(ToolCall(_DOOR, seen, _TOOL, _ARGUMENTS))  # connections, keys, the runner's own token
    for _ in range(times):
        await _verify_new(app, parts, watch)
        with watch.lap(VERIFY_SEEN):
            await parts.subjects.identify(seen)
        _check_proof(holder, seen, watch)
        await _one_call(parts, seen, watch)
        with watch.lap("all of it, through the bridge"):
            await app.bridge.call(ToolCall(_DOOR, seen, _TOOL, _ARGUMENTS))
    return watch.steps()


async def _verify_new(app: App, parts: Parts, watch: Stopwatch) -> None:
    new = UnverifiedToken(mint_for(app, USER).reveal())
    with watch.lap(VERIFY_NEW):
        await parts.subjects.identify(new)


class KeyHolder:
    """A client with a P-256 key, and the door's side of it."""

    def __init__(self) -> None:
        self._key = generate_private_key(SECP256R1())
        self._jwk = ECAlgorithm(ECAlgorithm.SHA256).to_jwk(self._key.public_key(), as_dict=True)
        self._jwk.pop("key_ops", None)
        self.tokens = TokenReader(SystemClock())

    def shown(self, token: UnverifiedToken) -> Shown:
        """A request with a fresh proof."""
        ath = base64.urlsafe_b64encode(token.digest).rstrip(b"=").decode()
        claims = {"jti": secrets.token_urlsafe(16), "htm": "POST", "htu": _URL, "iat": int(time.time()), "ath": ath}
        proof = jwt.encode(claims, self._key, "ES256", headers={"typ": "dpop+jwt", "jwk": self._jwk})
        return Shown("POST", _URL, [f"DPoP {token.reveal()}"], [proof])


def _check_proof(holder: KeyHolder, token: UnverifiedToken, watch: Stopwatch) -> None:
    shown = holder.shown(token)
    with watch.lap(CHECK_PROOF):
        confirmed = holder.tokens.read(shown)
        assert isinstance(confirmed, ConfirmedToken)
        confirmed.spend()


async def _identify(parts: Parts, token: UnverifiedToken) -> tuple[Caller, ActingParty]:
    caller = await parts.subjects.identify(token)
    return caller, await parts.actors.resolve(caller.principal)


async def _one_call(parts: Parts, token: UnverifiedToken, watch: Stopwatch) -> None:
    """The steps of ``remit.bridge``, each timed."""
    record = parts.trail.record(door=_DOOR, tool=_TOOL, arguments=_ARGUMENTS)
    await record.__aenter__()
    with watch.lap("identify, a token seen before"):
        caller, acting = await _identify(parts, token)
    with watch.lap("find the tool, validate the arguments"):
        tool = parts.tools.catalog.tools[_TOOL]
        tool.validate(_ARGUMENTS)
    record.identified(caller.principal, acting)
    record.found(tool)
    asked = Asked(ToolCall(_DOOR, token, _TOOL, _ARGUMENTS), caller, acting, tool)
    with watch.lap("decide about the call"):
        permission = await parts.permissions.permit(asked, record, NOBODY)
        await parts.permissions.settle(asked, permission, record)
    wanted = permission.wanted
    with watch.lap("record the intent, durably"):
        await record.intend(wanted)
    with watch.lap("exchange, in process, and check the answer"):
        issued = await parts.exchange.delegated_token(caller, acting, wanted)
    record.exchanged(issued)
    with watch.lap("build the request"):
        request = build_request(tool, _ARGUMENTS, CallContext({}, {}, {"id": record.id}))
    with watch.lap("call the API"):
        response = await parts.apis.send(request, issued.credential, tool, call_id=record.id)
    with watch.lap("shape the answer"):
        result = shape(tool, response)
    with watch.lap("decide about the answer"):
        result = await parts.permissions.release(permission, tool, response.status, result, record)
    with watch.lap("record the outcome, durably"):
        record.called(request, response)
        record.answered(result)
        await record.__aexit__(None, None, None)


async def exchange_rate(app: App, seconds: float) -> Rate:
    """Exchanges in process, as each call makes one: signed by the token service, verified and checked by the asker."""
    parts = app.bridge._parts  # noqa: SLF001  as above
    caller, acting = await _identify(parts, UnverifiedToken(mint_for(app, USER).reveal()))
    auth = parts.tools.catalog.tools[_TOOL].auth
    wanted = Wanted(Target(auth.audience, auth.resource), auth.scopes, auth.max_lifetime)

    async def exchange() -> None:
        await parts.exchange.delegated_token(caller, acting, wanted)

    return await _rate("exchange in process, answer checked", exchange, seconds)


async def signature_rate(seconds: float) -> Rate:
    """The least an exchange can cost: PyJWT signs and verifies once with ES256."""
    key = generate_private_key(SECP256R1())
    public, jws = key.public_key(), jwt.PyJWS()

    async def sign_and_verify() -> None:
        jws.decode(jws.encode(b"{}", key, algorithm="ES256"), public, algorithms=["ES256"])

    return await _rate("bare ES256, sign and verify", sign_and_verify, seconds)


async def _rate(name: str, act: Callable[[], Awaitable[None]], seconds: float) -> Rate:
    await act()
    times, started, cpu = 0, time.perf_counter(), time.process_time()
    while (elapsed := time.perf_counter() - started) < seconds:
        await act()
        times += 1
    return Rate(name, times / elapsed, (time.process_time() - cpu) / times * 1e6)
