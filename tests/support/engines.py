"""Every policy engine there is, by name, for tests that hold for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from remit.clock import SystemClock
from remit.policy.bundle import Bundle
from remit.policy.decision import Decision
from remit.policy.engine import PolicyEngine
from remit.policy.opa import OpaEngine
from remit.policy.process import ProcessEngine
from remit.policy.rego import RegoEngine
from support.opa import needs_opa, needs_unix_sockets, opa_server

EMBEDDED = "embedded"
PROCESS = "process"
OPA_TCP = "opa-tcp"
OPA_UNIX = "opa-unix"
#: For ``pytest.mark.parametrize``: OPA's are left out, with a word about it, where there is no ``opa``.
ENGINES = [
    EMBEDDED,
    PROCESS,
    pytest.param(OPA_TCP, marks=needs_opa),
    pytest.param(OPA_UNIX, marks=[needs_opa, needs_unix_sockets]),
]


@asynccontextmanager
async def running(name: str, bundle: Bundle) -> AsyncIterator[PolicyEngine]:
    """The engine of that name, deciding by this policy."""
    if name in (OPA_TCP, OPA_UNIX):
        async with opa_server(bundle, unix=name == OPA_UNIX) as place:
            server = OpaEngine(place, SystemClock())
            await server.check_ready()
            yield server
            await server.aclose()
        return
    engine: PolicyEngine
    if name == PROCESS:
        # A machine that is busy with other tests is no reason to deny.
        engine = await ProcessEngine.start(bundle, SystemClock(), deadline=5.0, workers=1)
    else:
        engine = RegoEngine(bundle, SystemClock())
    try:
        yield engine
    finally:
        await engine.aclose()


def decisions(name: str, bundle: Bundle, documents: Sequence[Mapping[str, Any]]) -> list[Decision]:
    """What the engine of that name decides about these."""

    async def main() -> list[Decision]:
        async with running(name, bundle) as engine:
            return await engine.decide_many(documents)

    return asyncio.run(main())
