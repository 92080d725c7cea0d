"""Many tools, a policy whose every answer is its own, and what lists them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from remit.catalog.compile import compile_text
from remit.catalog.tool import Catalog, Tool
from remit.permission.panel import Panel
from remit.permission.visibility import Visibility
from remit.policy.decision import Basis, Decision, Deny, Permit, failed
from remit.policy.engine import PolicyEngine
from remit.policy.input import Phase, Question
from remit.principal import ActingParty, Principal
from support.clock import FakeClock
from support.policy import RUNNER, person

_HEAD = """
version: 1
name: things
upstream:
  baseUrl: https://things.example
  auth: {audience: things-api, scopes: ["things:read"], maxTtl: 120s}
tools:
"""
_TOOL = """
  - name: get_thing_{number:04}
    description: Read one thing by its id, with everything that belongs to it.
    input: {{type: object, required: [id], properties: {{id: {{type: string}}}}}}
    request: {{method: GET, path: "/things/{number}/{{id}}"}}
"""


def catalog_of(tools: int) -> Catalog:
    """So many tools of one API."""
    compiled = compile_text(_HEAD + "".join(_TOOL.format(number=number) for number in range(tools)), "t.yaml", {})
    assert not compiled.problems
    return Catalog.of(compiled.tools)


@dataclass(eq=False)
class Picky:
    """Shows each tool to about half of all callers, by everything that it is told; counts how often it is asked."""

    revision: str = "1"
    asked: int = 0
    at_once: int = 0
    most_at_once: int = 0
    fails: bool = False
    may: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may.set()

    def shows(self, document: Mapping[str, Any]) -> bool:
        """What it decides about a document."""
        text = orjson.dumps([self.revision, document], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(text).digest()[0] % 2 == 0

    async def decide(self, document: Mapping[str, Any]) -> Decision:
        (decision,) = await self.decide_many([document])
        return decision

    async def decide_many(self, documents: Sequence[Mapping[str, Any]]) -> list[Decision]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.may.wait()
        self.at_once -= 1
        self.asked += len(documents)
        return [self._decided(document) for document in documents]

    def _decided(self, document: Mapping[str, Any]) -> Decision:
        basis = Basis("d", self.revision)
        if self.fails:
            return failed(basis, "out of order")
        return Permit(basis) if self.shows(document) else Deny(basis)

    async def aclose(self) -> None:
        pass


@dataclass
class Met:
    """Which agents have acted for whom: none, until told otherwise."""

    first: bool = True

    async def is_first(self, _principal: Principal, _acting: ActingParty) -> bool:
        return self.first

    async def met(self, _principal: Principal, _acting: ActingParty) -> None:
        self.first = False


@dataclass
class Lists:
    """Lists tools as the bridge has them listed."""

    policy: PolicyEngine
    catalog: Catalog
    clock: FakeClock = field(default_factory=FakeClock)
    pairs: Met = field(default_factory=Met)

    def __post_init__(self) -> None:
        unused: Any = None
        panel = Panel(self.policy, unused, self.pairs, self.clock, unused, b"")
        self._visibility = Visibility(panel)

    async def shown(
        self, principal: Principal | None = None, acting: ActingParty = RUNNER, door: str = "mcp"
    ) -> list[str]:
        """The names of the tools that a caller is shown."""
        tools = await self._visibility.shown(door, principal or person(), acting, self.catalog)
        return [tool.name for tool in tools]

    def due(
        self, policy: Picky, principal: Principal | None = None, acting: ActingParty = RUNNER, door: str = "mcp"
    ) -> list[str]:
        """The same, as the policy would decide it now."""

        def asks(tool: Tool) -> bool:
            asked = Question(
                Phase.TOOL_LIST,
                principal or person(),
                acting,
                tool,
                self.clock.now(),
                door=door,
                first_time=self.pairs.first,
            )
            return policy.shows(asked.document())

        return [tool.name for tool in self.catalog.tools.values() if asks(tool)]
