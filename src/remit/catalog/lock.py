"""``tools.lock``: which definitions of the tools somebody has reviewed (noun), and what is different now (rule).

A tool whose description or request changes unnoticed can make an agent do what nobody approved. The lock pins, for
each tool, the definition as it is written (what the environment fills in is the operator's, not the file's), what the
model sees, and the API description behind it. It also holds what the model saw, so that a change can be shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from remit.catalog.differences import differences, text_differences
from remit.catalog.shown import shown
from remit.catalog.tool import Tool

#: How it is called, beside the tool files.
LOCK_NAME: Final = "tools.lock"
_VERSION: Final = 1
_DIGESTS: Final = ("definition", "shown", "openapi")


class LockInvalid(ValueError):
    """The text is no lock."""


@dataclass(frozen=True, slots=True)
class Pin:
    """What was approved of one tool: SHA-256 digests (``openapi`` is empty where there is none) and what was seen."""

    definition: str
    shown: str
    openapi: str
    seen: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, tool: Tool) -> Pin:
        """The pin of a tool as it is now."""
        seen = shown(tool)
        return cls(tool.written, _digest(seen), tool.description_digest, seen)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        digests = {"definition": self.definition, "shown": self.shown, "openapi": self.openapi}
        return {**{name: digest for name, digest in digests.items() if digest}, "seen": dict(self.seen)}


@dataclass(frozen=True, slots=True)
class Change:
    """One tool that is not as the lock has it; ``details`` say in words what is different."""

    tool: str
    kind: Literal["new", "changed", "gone"]
    where: str = ""
    details: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"tool": self.tool, "change": self.kind, "where": self.where, "details": list(self.details)}


@dataclass(frozen=True, slots=True)
class Lock:
    """The pins by the tools' names."""

    pins: Mapping[str, Pin] = field(default_factory=dict)

    @classmethod
    def of(cls, tools: Iterable[Tool]) -> Lock:
        """A lock of the tools as they are now."""
        return cls({tool.name: Pin.of(tool) for tool in tools})

    @classmethod
    def read(cls, text: str) -> Lock:
        """The lock that ``text()`` wrote. Raises ``LockInvalid``, also where what was seen is not what was pinned."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise LockInvalid(f"not JSON: {type(error).__name__}") from None
        if not isinstance(document, dict) or document.get("version") != _VERSION:
            raise LockInvalid(f"not a lock of version {_VERSION}")
        tools = document.get("tools")
        if not isinstance(tools, dict):
            raise LockInvalid("it has no tools")
        return cls({name: _pin(name, pin) for name, pin in tools.items()})

    def text(self) -> str:
        """The file's text: the same for the same tools, whatever their order."""
        tools = {name: pin.document() for name, pin in self.pins.items()}
        document = {"version": _VERSION, "tools": tools}
        return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def difference(self, tool: Tool) -> Change | None:
        """How the tool differs from what was approved; ``None`` where it does not."""
        pin, now = self.pins.get(tool.name), Pin.of(tool)
        if pin is None:
            return Change(tool.name, "new", tool.where, tuple(_introduction(now.seen)))
        if (pin.definition, pin.shown, pin.openapi) == (now.definition, now.shown, now.openapi):
            return None
        return Change(tool.name, "changed", tool.where, tuple(_details(pin, now)))

    def changes(self, tools: Iterable[Tool]) -> list[Change]:
        """Every tool that is not as it was approved, and those that are gone, by name."""
        tools = list(tools)
        found = [change for tool in tools if (change := self.difference(tool)) is not None]
        gone = self.pins.keys() - {tool.name for tool in tools}
        return sorted([*found, *(Change(name, "gone") for name in gone)], key=lambda change: change.tool)


def _pin(name: str, document: Any) -> Pin:
    if not isinstance(document, dict) or not isinstance(document.get("seen"), dict):
        raise LockInvalid(f'"{name[:60]}" is no pin')
    definition, listed, openapi = (str(document.get(key, "")) for key in _DIGESTS)
    pin = Pin(definition, listed, openapi, document["seen"])
    if pin.shown != _digest(pin.seen):
        raise LockInvalid(f'what was seen of "{name[:60]}" is not what was pinned')
    return pin


def _digest(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _introduction(seen: Mapping[str, Any]) -> Iterator[str]:
    yield f"description: {seen['description']}"
    arguments = seen["inputSchema"].get("properties", {})
    if arguments:
        yield f"arguments: {', '.join(arguments)}"


def _details(pin: Pin, now: Pin) -> Iterator[str]:
    before, after = dict(pin.seen), dict(now.seen)
    was, is_now = before.pop("description", ""), after.pop("description", "")
    if was != is_now:
        yield "description:"
        yield from (f"  {line}" for line in text_differences(str(was), str(is_now)))
    yield from differences(_in_words(before), _in_words(after))
    if pin.shown == now.shown and pin.definition != now.definition:
        yield "the model sees the same; what is sent, where, or with which token is another"
    if pin.openapi != now.openapi:
        yield "the API description behind it is another"


def _in_words(seen: dict[str, Any]) -> dict[str, Any]:
    """The same with paths that read well: ``argument amount.maximum`` instead of ``inputSchema.properties…``."""
    schema = seen.get("inputSchema")
    if not isinstance(schema, dict) or not isinstance(schema.get("properties", {}), dict):
        return seen
    rest = {f"input {key}": value for key, value in schema.items() if key != "properties"}
    arguments = {f"argument {name}": value for name, value in schema.get("properties", {}).items()}
    return {**{key: value for key, value in seen.items() if key != "inputSchema"}, **rest, **arguments}
