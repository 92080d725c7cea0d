"""What an import takes, leaves out and costs (noun)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from remit.catalog.openapi.description import Description, Note
from remit.catalog.openapi.mapping import Mapped
from remit.catalog.openapi.selection import Candidate, LeftOut
from remit.catalog.shown import MAX_LIST_BYTES, MAX_LISTED, estimated_tokens

#: A tool file has no more.
MAX_TOOLS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Budget:
    """How many tools there may be, and how many bytes a model may be shown of them."""

    tools: int = MAX_LISTED
    bytes: int = MAX_LIST_BYTES


@dataclass(frozen=True, slots=True)
class Taken:
    """An operation that becomes a tool, and the bytes of what a model sees of it."""

    candidate: Candidate
    mapped: Mapped
    bytes: int

    def document(self) -> dict[str, Any]:
        """The tool for programs."""
        operation = self.candidate.operation
        return {
            "name": self.candidate.name,
            "operation": self.candidate.reference,
            "method": operation.method,
            "path": operation.path,
            "tags": list(operation.tags),
            "scopes": list(operation.scopes),
            "bytes": self.bytes,
            "tokens": estimated_tokens(self.bytes),
            "cut": self.mapped.cut,
        }


@dataclass(frozen=True, slots=True)
class TagCost:
    """What the tools with one tag come to; a tool with several counts for each."""

    tag: str
    tools: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Change:
    """What is different between a tool file and the description it was made from."""

    kind: Literal["new", "gone", "changed"]
    tool: str
    operation: str
    details: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """The change for programs."""
        return {"kind": self.kind, "tool": self.tool, "operation": self.operation, "details": list(self.details)}


@dataclass(frozen=True, slots=True)
class Report:
    """An import, before or after it is written. ``kept``: tools that the file has already, and their bytes.

    ``base_url`` is empty where it is not known; ``copied``: the description's files beside the tool file.
    """

    description: Description
    output: str
    base_url: str
    audience: str
    taken: tuple[Taken, ...]
    left_out: tuple[LeftOut, ...]
    budget: Budget
    notes: tuple[Note, ...] = ()
    copied: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    is_update: bool = False
    is_discovery: bool = False

    @property
    def bytes(self) -> int:
        """Of all tools that are taken, in the list a model sees."""
        return sum(each.bytes for each in self.taken)

    @property
    def too_much(self) -> str:
        """In which way it is over the budget; empty where it is not."""
        if self.is_discovery:
            return ""
        count, most = len(self.taken), min(self.budget.tools, MAX_TOOLS)
        said = [f"{count} tools, and {most} are allowed"] if count > most else []
        said += [f"{self.bytes} bytes, and {self.budget.bytes} are allowed"] if self.bytes > self.budget.bytes else []
        return "; ".join(said)

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why operations are left out, and how many each, the most frequent first."""
        return Counter(each.reason for each in self.left_out).most_common()

    def document(self, written: Sequence[str] = ()) -> dict[str, Any]:
        """The report for programs. ``written``: the files that were."""
        described = self.description
        return {
            "ok": not self.too_much,
            "too_much": self.too_much,
            "output": self.output,
            "written": list(written),
            "description": {
                "title": described.title,
                "version": described.version,
                "openapi": described.dialect,
                "operations": len(described.operations) + len(described.skipped),
                "digest": described.digest,
                "copied": list(self.copied),
            },
            "base_url": self.base_url,
            "audience": self.audience,
            "tools": len(self.taken),
            "bytes": self.bytes,
            "tokens": estimated_tokens(self.bytes),
            "budget": {"tools": self.budget.tools, "bytes": self.budget.bytes},
            "taken": [each.document() for each in self.taken],
            "left_out": [
                {"method": each.method, "path": each.path, "operation": each.id, "reason": each.reason}
                for each in self.left_out
            ],
            "tags": [{"tag": each.tag, "tools": each.tools, "bytes": each.bytes} for each in costs_of_tags(self.taken)],
            "changes": [change.document() for change in self.changes],
            "notes": [{"where": note.pointer, "message": note.message} for note in self.notes],
        }


def costs_of_tags(taken: Sequence[Taken]) -> list[TagCost]:
    """What each tag would cost, the largest first; those without one under the empty name."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for each in taken:
        for tag in each.candidate.operation.tags or ("",):
            counts[tag] += 1
            sizes[tag] += each.bytes
    return [TagCost(tag, counts[tag], size) for tag, size in sizes.most_common()]
