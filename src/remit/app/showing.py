"""Path: which tools policy shows to whom. Nothing is called or recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from remit.app.explaining import Supposed, question_of
from remit.app.trying import Tried, trying
from remit.catalog.tool import Tool
from remit.clock import Clock
from remit.policy.input import Phase
from remit.settings import Settings


async def shown_to(settings: Settings, user: str, tools: Sequence[Tool], clock: Clock) -> list[Tool]:
    """The tools that the development user sees through the agent of these settings. Raises ``SetupError`` leaves."""
    async with trying(settings, clock) as tried:
        return await shown_by(tried, settings, user, tools, clock)


async def shown_by(tried: Tried, settings: Settings, user: str, tools: Sequence[Tool], clock: Clock) -> list[Tool]:
    """The same by a policy that is open already."""
    if not tools:
        return []
    supposed = Supposed(user, settings.agent.client_id, tools[0].name, {})
    question = replace(await question_of(settings, supposed, tools[0], clock), phase=Phase.TOOL_LIST)
    decisions = await tried.decide([replace(question, tool=tool).document() for tool in tools])
    return [tool for tool, decision in zip(tools, decisions, strict=True) if decision.allow]
