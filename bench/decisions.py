"""What a decision takes: the embedded engine in its processes, beside an OPA server where there is the program.

Callers that ask again as soon as they have an answer, all of them in this process. The engines take turns, so that
whatever else the machine does meets each.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import psutil

from bench.figures import Decided, Lap, Soak
from bench.opa import OPA, opa_server
from remit.catalog.tool import ToolAuth
from remit.clock import SystemClock
from remit.policy.bundle import Bundle
from remit.policy.decision import Deny
from remit.policy.engine import PolicyEngine
from remit.policy.input import ExchangeTarget, Phase, Question
from remit.policy.opa import OpaEngine
from remit.policy.process import ProcessEngine
from remit.principal import ActingParty, Actor, Assurance, Principal

CALLERS: Final = 4
ROLES: Final = 10_000
TEN_RULES: Final = "10 rules"
LARGE_TABLE: Final = f"10 rules, {ROLES:,} roles"
EMBEDDED: Final = "embedded"
OPA_SERVER: Final = "OPA server"

_MIB: Final = 1 << 20
_SOAK_SAMPLES: Final = 20
_WARM_UP: Final = 200
_MORE_THAN_ENOUGH: Final = 5.0
#: Whoever asks about this waits for a rule that does not end.
_ENDLESS: Final = "endless"

_POLICY: Final = """package remit.authz

import future.keywords.not
import rego.v1

decision := {"allow": allow, "reasons": reasons, "obligations": obligations, "policy": "bench/1"}

default allow := false

allow if {
	granted
	count(denials) == 0
}

granted if {
	some role in input.subject.properties.roles
	input.resource.id in data.remit_data.roles[role]
}

denials contains {"code": "chain_too_deep", "message": "more than 3 delegations"} if count(input.chain) > 3

denials contains {"code": "agent_unknown", "message": sprintf("agent %s is not registered", [hop.id])} if {
	some hop in input.chain
	not data.remit_data.agents[hop.id]
}

denials contains {"code": "amount_limit", "message": "the amount is above the limit"} if {
	object.get(input.arguments, "amount", 0) > data.remit_data.max_amount
}

reasons := denials if count(denials) > 0

else := set() if granted

else := {{"code": "no_grant", "message": "no role grants this tool"}}

obligations contains {"id": "scopes", "type": "narrow_scopes", "properties": {"scopes": scopes}} if {
	scopes := [scope | some scope in input.token.requested.scopes; scope in data.remit_data.scopes[input.resource.id]]
	count(scopes) > 0
}

obligations contains {"id": "lifetime", "type": "limit_lifetime", "properties": {"seconds": 60}} if {
	input.action.properties.effect == "write"
}

obligations contains {"id": "approval", "type": "require_approval", "properties": {"approvers": ["user"]}} if {
	input.action.properties.destructive
	input.context.approval.state != "approved"
}
"""
_RUNAWAY: Final = """package remit.authz

import rego.v1

decision := {"allow": true} if input.arguments.id != "endless"

decision := {"allow": count(forever) > 0} if input.arguments.id == "endless"

decision := {"allow": false} if not input.arguments.id

xs := data.remit_data.xs

forever := [1 | some a in xs; some b in xs; some c in xs; some d in xs; some e in xs; a + b + c + d + e < 0]
"""


def ten_rules(roles: int) -> Bundle:
    """The policy, with so many roles in its table."""
    tools = ["orders-api", "payments-api", "accounts-api"]
    data = {
        "roles": {f"role-{number}": tools for number in range(roles)},
        "agents": {"agent-runner": {}},
        "max_amount": 1000,
        "scopes": {"orders-api": ["orders:read"]},
    }
    return Bundle.of({"authz.rego": _POLICY}, data)


def document(order: str = "O1001") -> dict[str, Any]:
    """What is asked: alice's call, of about 1.5 KB."""
    auth = ToolAuth("token-exchange", "orders-api", "https://orders.example", ("orders:read",), "required", 120)
    principal = Principal(
        subject="alice",
        issuer="https://idp.example",
        client_id="agent-runner",
        audience=("https://bridge.example",),
        scopes=("orders:read", "orders:write"),
        roles=("role-0",),
        expires_at=2_000_000_000,
    )
    acting = ActingParty(Actor("agent-runner", "https://sts.example"), Assurance.AUTHENTICATED, "actor_token")
    target = ExchangeTarget(auth, kind="tool", method="GET", path="/orders/{id}", upstream="orders")
    asked = Question(Phase.TOOL_CALL, principal, acting, target, 1_800_000_000, {"id": order}, "mcp")
    return asked.document()


async def measure_decisions(folder: Path, rounds: int, seconds: float) -> list[Decided]:
    """Each engine with each policy, so many rounds of so many seconds."""
    laps: dict[tuple[str, str], list[Lap]] = {}
    async with AsyncExitStack() as stack:
        engines = await _engines(folder, stack)
        for _, each in itertools.product(range(rounds), engines):
            laps.setdefault(each, []).append(await _lap(engines[each], seconds))
    return [Decided.of(engine, policy, CALLERS, each) for (engine, policy), each in laps.items()]


async def _engines(folder: Path, stack: AsyncExitStack) -> Mapping[tuple[str, str], PolicyEngine]:
    engines: dict[tuple[str, str], PolicyEngine] = {}
    for policy, roles in ((TEN_RULES, 1), (LARGE_TABLE, ROLES)):
        bundle = ten_rules(roles)
        engines[EMBEDDED, policy] = await _started(bundle, stack)
        if OPA:
            place = await stack.enter_async_context(opa_server(bundle, folder / f"opa-{roles}"))
            server = OpaEngine(place, SystemClock())
            stack.push_async_callback(server.aclose)
            engines[OPA_SERVER, policy] = server
    for engine in engines.values():
        for _ in range(_WARM_UP):
            await _decide(engine, document())
    return engines


async def _started(bundle: Bundle, stack: AsyncExitStack, *, deadline: float = _MORE_THAN_ENOUGH) -> ProcessEngine:
    """With all its processes."""
    engine = await ProcessEngine.start(bundle, SystemClock(), deadline=deadline)
    stack.push_async_callback(engine.aclose)
    while len(engine.pids) < 3:
        await asyncio.sleep(0.01)
    return engine


async def _lap(engine: PolicyEngine, seconds: float) -> Lap:
    asked = document()
    latencies: list[float] = []
    started = time.perf_counter()
    await asyncio.gather(*(_ask(engine, asked, latencies, started + seconds) for _ in range(CALLERS)))
    return Lap(time.perf_counter() - started, latencies)


async def _ask(engine: PolicyEngine, asked: Mapping[str, Any], latencies: list[float], until: float) -> None:
    while (before := time.perf_counter()) < until:
        await _decide(engine, asked)
        latencies.append(time.perf_counter() - before)


async def _decide(engine: PolicyEngine, asked: Mapping[str, Any]) -> None:
    decision = await engine.decide(asked)
    if isinstance(decision, Deny):
        raise SystemExit(f"the benchmark's policy denied: {decision.detail or decision.rule}")


async def longest_wait(times: int) -> float:
    """The longest that three callers waited while a fourth one's decision did not end, in seconds; the worst of all.

    With the deadline that decisions have by default.
    """
    worst = 0.0
    async with AsyncExitStack() as stack:
        bundle = Bundle.of({"authz.rego": _RUNAWAY}, {"xs": list(range(100))})
        engine = await _started(bundle, stack, deadline=0.1)
        for _ in range(times):
            while len(engine.pids) < 3:
                await asyncio.sleep(0.01)
            endless = asyncio.create_task(engine.decide(document(_ENDLESS)))
            worst = max(worst, await _longest(engine, endless))
    return worst


async def _longest(engine: PolicyEngine, endless: asyncio.Task[Any]) -> float:
    waits: list[float] = []

    async def call() -> None:
        while not endless.done():
            before = time.perf_counter()
            await _decide(engine, document())
            waits.append(time.perf_counter() - before)

    await asyncio.gather(*(call() for _ in range(CALLERS - 1)))
    return max(waits)


async def soak(decisions: int) -> Soak:
    """So many decisions, and the memory of this process and the workers together."""
    async with AsyncExitStack() as stack:
        engine = await _started(ten_rules(1), stack)
        asked = document()
        memory = [_memory(engine)]
        for _ in range(_SOAK_SAMPLES):
            each = decisions // _SOAK_SAMPLES // CALLERS
            await asyncio.gather(*(_some(engine, asked, each) for _ in range(CALLERS)))
            memory.append(_memory(engine))
    return Soak(decisions, memory)


async def _some(engine: PolicyEngine, asked: Mapping[str, Any], times: int) -> None:
    for _ in range(times):
        await _decide(engine, asked)


def _memory(engine: ProcessEngine) -> float:
    return sum(psutil.Process(pid).memory_info().rss for pid in (os.getpid(), *engine.pids)) / _MIB
