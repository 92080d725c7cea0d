"""Door: which tools policy shows to whom, remembered for a short while.

What is remembered was decided by one policy about one catalog: another of either, and it is forgotten as a whole. It is
remembered under all that policy was told of the caller, so nobody is shown what was decided about somebody else, or
about themself with other roles, scopes, agent or token. Who they are, and that neither they nor their agent is revoked,
was found out before, every time.

A list is advice: each call is decided about by itself. So is how far a list may lag behind: what policy says by the time
of day, or by how long a token still lasts, may show up to ``lifetime`` late. No list outlives a token, nor a quarter of an
hour by the clock, where hours and weekdays change in every time zone.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Final

import orjson

from remit.catalog.tool import Catalog, Tool
from remit.permission.panel import NOTHING, Panel
from remit.policy.decision import Decision, Deny
from remit.policy.input import Phase, Question, about_each
from remit.principal import ActingParty, Principal

#: Lists of so many callers, a byte for each tool.
_MAX_REMEMBERED: Final = 1000
#: So many lists are decided about at a time: whoever calls a tool does not wait behind all of them.
_AT_ONCE: Final = 4
_QUARTER: Final = 900


@dataclass(frozen=True, slots=True)
class _List:
    """Which of the catalog's tools are shown (a byte for each, 0 or 1), from when until when."""

    shown: bytes
    since: float
    until: float


class _Shelf:
    """The lists by one policy about one catalog, those used last at the end; and those that are being decided about."""

    def __init__(self, catalog: Catalog, revision: str) -> None:
        self.catalog = catalog
        self.revision = revision
        self.deciding: dict[bytes, asyncio.Task[bytes]] = {}
        self._lists: OrderedDict[bytes, _List] = OrderedDict()

    def get(self, key: bytes, now: float) -> bytes | None:
        """The list, unless its time has passed. A clock that was put back ends it too."""
        found = self._lists.get(key)
        if found is None or not found.since <= now < found.until:
            return None
        self._lists.move_to_end(key)
        return found.shown

    def put(self, key: bytes, found: _List) -> None:
        """Remember it, in place of whichever has not been used for longest."""
        self._lists[key] = found
        self._lists.move_to_end(key)
        if len(self._lists) > _MAX_REMEMBERED:
            self._lists.popitem(last=False)


class Visibility:
    """Asks ``panel``'s policy which tools a caller is shown."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._shelf = _Shelf(Catalog(), "")
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def shown(self, door: str, principal: Principal, acting: ActingParty, catalog: Catalog) -> tuple[Tool, ...]:
        """The tools of ``catalog`` that policy shows to this caller, by name."""
        first = await self._panel.pairs.is_first(principal, acting)
        now = self._panel.clock.now()
        question = Question(Phase.TOOL_LIST, principal, acting, NOTHING, now, door=door, first_time=first)
        shelf, key = self._shelf_of(catalog), _key(question)
        shown = shelf.get(key, now)
        if shown is None:
            shown = await self._decided(shelf, key, question)
        return tuple(compress(catalog.tools.values(), shown))

    def _shelf_of(self, catalog: Catalog) -> _Shelf:
        revision = self._panel.policy.revision
        if self._shelf.catalog is not catalog or self._shelf.revision != revision:
            self._shelf = _Shelf(catalog, revision)
        return self._shelf

    async def _decided(self, shelf: _Shelf, key: bytes, question: Question) -> bytes:
        """By one evaluation for all who wait for the same; whoever goes away leaves it to the others."""
        if (deciding := shelf.deciding.get(key)) is None:
            deciding = shelf.deciding[key] = asyncio.create_task(self._decide(shelf, key, question))
            deciding.add_done_callback(lambda _: shelf.deciding.pop(key))
        return await asyncio.shield(deciding)

    async def _decide(self, shelf: _Shelf, key: bytes, question: Question) -> bytes:
        async with self._turns:
            documents = about_each(question, tuple(shelf.catalog.tools.values()))
            decisions = await self._panel.policy.decide_many(documents)
        shown = bytes(decision.allow for decision in decisions)
        if _may_be_remembered(decisions, shelf.revision):
            shelf.put(key, _List(shown, question.now, self._end(question)))
        return shown

    def _end(self, question: Question) -> float:
        quarter = (question.now // _QUARTER + 1) * _QUARTER
        return min(question.now + self._panel.lists_last, question.principal.expires_at, quarter)


def _key(question: Question) -> bytes:
    """All that policy is told of a caller: the question about nothing, at no time, where ``expires_in`` is when.

    Made of the document itself, so that nothing policy can see, today or one day, is left out.
    """
    document = replace(question, now=0).document()
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).digest()


def _may_be_remembered(decisions: Sequence[Decision], revision: str) -> bool:
    """Not what could not be decided, and not what another policy decided, which was put in force meanwhile."""
    failed = any(isinstance(decision, Deny) and decision.failed for decision in decisions)
    return not failed and all(decision.revision == revision for decision in decisions)
