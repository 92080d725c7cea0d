"""Noun: a request the guard let through, as the rest of the HTTP door knows it.

It travels in the request's own ASGI scope under ``ADMITTED`` and nowhere else: not in a context variable, which
outlives a request more easily than it seems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from remit.credential import UnverifiedToken
from remit.principal import Caller

#: Key of the ASGI scope.
ADMITTED: Final = "remit.admitted"
_NOTHING: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who asks, with which token, and the JSON-RPC message; empty where the body is none, which the SDK answers."""

    token: UnverifiedToken
    caller: Caller = field(repr=False)
    message: Mapping[str, Any] = field(repr=False)

    @property
    def method(self) -> object:
        """The JSON-RPC method."""
        return self.message.get("method")

    def param(self, name: str) -> object:
        """One parameter, ``None`` where there is no such."""
        params = self.message.get("params")
        return params.get(name) if isinstance(params, dict) else None


def read_message(body: bytes) -> Mapping[str, Any]:
    """The body as a JSON object, or an empty one."""
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _NOTHING
    return message if isinstance(message, dict) else _NOTHING
