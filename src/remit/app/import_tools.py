"""The operations of a description as tools, for whoever chooses among them (rule)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from remit.app.import_source import Source
from remit.catalog.described import Described
from remit.catalog.openapi.importing import base_of, taken_of
from remit.catalog.openapi.report import Taken
from remit.catalog.openapi.selection import Candidate, LeftOut, Selected, Selection, candidates, select


class Operations:
    """What can be chosen. ``unreadable`` cannot."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.candidates, self.unreadable = candidates(source.description, source.asked.prefix)
        self.base = base_of(source.description)
        self.described = Described(source.description)

    def select(self, selection: Selection) -> Selected:
        """What is wanted of them."""
        return select(self.candidates, selection)

    def taken(
        self, chosen: Iterable[Candidate], described: Mapping[str, str] | None = None
    ) -> tuple[tuple[Taken, ...], tuple[LeftOut, ...]]:
        """The candidates as tools, and those that cannot be one. ``described``: by reference, where a file says it."""
        return taken_of(chosen, self.described.mapper(self.source.profile), self.base, described=described or {})
