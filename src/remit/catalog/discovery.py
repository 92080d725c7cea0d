"""A large API without a tool for each of its operations: three tools find, describe and call them (noun).

Each operation is a tool like any other, decided about, called with a token of its own and recorded under its own name; it
only stands in no list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from remit.catalog.search import MAX_QUERY, Search

Role = Literal["find", "describe", "call", "operation"]

#: So many operations are found where the agent does not say how many.
FOUND: Final = 10
MAX_FOUND: Final = 50

_NAME: Final[dict[str, Any]] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
    "description": "Name of the operation, as it was found",
}
_QUERY: Final[dict[str, Any]] = {
    "type": "string",
    "maxLength": MAX_QUERY,
    "description": "What it has to do, in a few words; all operations where there are none",
}
#: The input schemas of the three.
INPUTS: Final[Mapping[Role, dict[str, Any]]] = {
    "find": {
        "type": "object",
        "properties": {
            "query": _QUERY,
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_FOUND, "default": FOUND},
        },
        "additionalProperties": False,
    },
    "describe": {
        "type": "object",
        "properties": {"operation": _NAME},
        "required": ["operation"],
        "additionalProperties": False,
    },
    "call": {
        "type": "object",
        "properties": {
            "operation": _NAME,
            "arguments": {"type": "object", "description": "As the operation's input schema says"},
        },
        "required": ["operation"],
        "additionalProperties": False,
    },
}


@dataclass(frozen=True, slots=True, eq=False)
class Discovery:
    """A tool's part in it. ``api`` is the name of the tool file, ``search`` finds its operations."""

    api: str
    role: Role
    search: Search = field(repr=False)

    @property
    def looks_up(self) -> bool:
        """Whether its calls are answered here, without the API."""
        return self.role in {"find", "describe"}


def name_of(api: str, role: Role) -> str:
    """What one of the three is called: ``billing_find``."""
    return f"{api.replace('-', '_')}_{role}"
