"""Path: what past calls can have been of which the trail kept no values.

1. **fill in** values that stand in for those that were not kept (``remit.policy.standins``);
2. of those that no policy tells apart, keep one: a call that differs by its time alone is not tried with all again;
3. where they are decided differently about, leave out those with which the policy that decided **then**, if it is still
   there, would have decided otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from remit.app.past_calls import Past, ending_of
from remit.app.trying import Tried
from remit.catalog.tool import Catalog
from remit.policy.decision import Decision
from remit.policy.standins import Fill, fills
from remit.policy.vocabulary import Vocabulary

_MAX_KNOWN: Final = 10_000
#: So many are tried each time, and are as different as can be.
_ALWAYS: Final = 2

Document = Mapping[str, Any]


class Guesser:
    """Guesses for the policy that is tried. ``then`` is the one in force, if that is another."""

    def __init__(self, tried: Tried, then: Tried | None, vocabulary: Vocabulary, catalog: Catalog) -> None:
        self._tried = tried
        self._then = then
        self._vocabulary = vocabulary
        self._catalog = catalog
        self._known: dict[bytes, list[Fill]] = {}

    async def documents(self, pasts: Sequence[Past]) -> list[list[Document]]:
        """What each can have been, at least one document; of an exact one the very document."""
        filled = [(past, await self._fills(past)) for past in pasts]
        return [[fill.into(past.document) for fill in each] for past, each in filled]

    async def likely(self, past: Past, documents: Sequence[Document]) -> list[int]:
        """Which of the documents can have been it, by what was decided then; all where that does not tell."""
        then = self._then_of(past)
        decided = await then.decide(documents) if then is not None else []
        return [index for index, was in enumerate(decided) if past.is_like(was)] or list(range(len(documents)))

    async def _fills(self, past: Past) -> list[Fill]:
        if past.exact:
            return [Fill(past.document["arguments"])]
        shape = _shape(past)
        known = self._known.get(shape)
        if known is None:
            known = await self._told_apart(past)
            if len(self._known) == _MAX_KNOWN:
                self._known.pop(next(iter(self._known)))
            self._known[shape] = known
        return known

    async def _told_apart(self, past: Past) -> list[Fill]:
        """1, 2"""
        made = fills(past.document, self._schema(past), self._vocabulary)
        if len(made) <= _ALWAYS:
            return made
        documents = [fill.into(past.document) for fill in made]
        now = await self._tried.decide(documents)
        marks = [_mark(decision, document) for decision, document in zip(now, documents, strict=True)]
        then = self._then_of(past)
        if then is not None and len(set(marks)) > 1:
            marks = [(*mark, past.is_like(was)) for mark, was in zip(marks, await then.decide(documents), strict=True)]
        first = {mark: index for index, mark in reversed(list(enumerate(marks)))}
        kept = sorted({*range(_ALWAYS), *first.values()})
        return [made[index] for index in kept]

    def _then_of(self, past: Past) -> Tried | None:
        """The policy that decided then."""
        if self._then is None or past.was_failure or past.revision != self._then.engine.revision:
            return None
        return self._then

    def _schema(self, past: Past) -> Mapping[str, Any]:
        """Of the tool as it was; none where it is another one now."""
        tool = self._catalog.get(past.tool)
        digest = past.document["resource"]["properties"].get("digest")
        return tool.input_schema if tool is not None and tool.digest == digest else {}


def _mark(decision: Decision, document: Document) -> tuple[Any, ...]:
    return (ending_of(decision, document), decision.rule)


def _shape(past: Past) -> bytes:
    """A call without what differs from one to the next anyway, and without the user's own name: roles tell more."""
    document = past.document
    token = {**document["token"], "expires_in": 0}
    properties = {**document["subject"]["properties"], "auth_time": 0, "name": ""}
    context = {**document["context"], "approval": document["context"]["approval"]["state"]}
    same = {**document, "time": 0, "token": token, "subject": properties, "context": context}
    decided = [past.revision, past.ending, past.codes, past.demands]
    return orjson.dumps([same, decided], option=orjson.OPT_SORT_KEYS)
