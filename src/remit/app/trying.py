"""Path: a policy that is tried: what it speaks of, and an engine that decides by it and about nobody's calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from remit.app import registry
from remit.app.policy import load_bundle, start_engine
from remit.catalog.tool import Tool
from remit.clock import Clock
from remit.policy.bundle import Bundle
from remit.policy.decision import Decision, Deny
from remit.policy.engine import PolicyEngine
from remit.policy.process import ProcessEngine
from remit.policy.vocabulary import AGENT, GROUP, ROLE, SCOPE, Vocabulary
from remit.settings import Settings

#: Nobody waits for an answer, and a machine that is busy is no reason to deny.
_DEADLINE: Final = 1.0


@dataclass(slots=True)
class Tried:
    """``bundle`` is empty where an OPA server decides: what it decides by is not read here."""

    engine: PolicyEngine
    bundle: Bundle
    second_chances: int = 100

    async def decide(self, documents: Sequence[Mapping[str, Any]]) -> list[Decision]:
        """A decision about each. Some that fail are asked once more: what only took too long on a busy machine passes."""
        decisions = await self.engine.decide_many(documents)
        for index, decision in enumerate(decisions):
            if isinstance(decision, Deny) and decision.failed and self.second_chances:
                self.second_chances -= 1
                decisions[index] = await self.engine.decide(documents[index])
        return decisions

    def vocabulary(self, settings: Settings, tool: Tool | None = None) -> Vocabulary:
        """What the policy speaks of, what the settings say of users and clients, and what ``tool`` asks for."""
        users = registry.users(settings).values()
        known = {
            ROLE: [role for user in users for role in user.roles],
            GROUP: [group for user in users for group in user.groups],
            SCOPE: [*(tool.auth.scopes if tool else ()), *(scope for user in users for scope in user.scopes)],
            AGENT: [settings.agent.client_id, *settings.sts.clients],
        }
        return Vocabulary.of(self.bundle, known)


@asynccontextmanager
async def trying(settings: Settings, clock: Clock) -> AsyncIterator[Tried]:
    """The policy of ``settings``, ready to be asked while the block runs; its own tests are not run.

    Raises ``PolicyInvalid`` and ``SettingsInvalid``.
    """
    policy = settings.policy
    engine: PolicyEngine
    if policy.engine == "embedded":
        bundle = await asyncio.to_thread(load_bundle, settings, policy.path)
        deadline = max(policy.deadline, _DEADLINE)
        engine = await ProcessEngine.start(bundle, clock, deadline=deadline, workers=policy.workers, run_tests=False)
    else:
        bundle = Bundle.of({})
        engine = await start_engine(settings, clock)
    try:
        yield Tried(engine, bundle)
    finally:
        await engine.aclose()
