"""Noun: an API and its tools as Python functions. Nothing is read, checked or called here: that is done at load.

A function that is decorated with a method and a path is never called: its signature says what the tool takes, its
docstring what it does. One that is decorated with ``tool`` is the tool's code.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, TypeVar, Unpack

from remit.tools.vocabulary import Approval, ClientCredentials, Limits, Paging, Retry, TokenExchange

Function = TypeVar("Function", bound=Callable[..., Any])
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

#: Inner calls of one call of a code tool, unless it says another number.
MAX_CALLS = 20


class SharedOptions(TypedDict, total=False):
    """What any tool may say. ``name`` is the function's, ``facts`` are for policy, ``examples`` as in a tool file.

    ``output``: whether the return annotation is the tool's output schema, which models see and results are held to.
    """

    name: str
    title: str
    scopes: list[str]
    max_ttl: str
    step_up: str
    approval: Approval
    timeout: str
    limits: Limits
    tags: list[str]
    examples: list[Mapping[str, Any]]
    facts: Mapping[str, Any]
    read_only: bool
    destructive: bool
    idempotent: bool
    open_world: bool
    max_bytes: str
    max_items: int
    output: bool


class RequestOptions(SharedOptions, total=False):
    """What a tool that is one request may say besides. Values are literals, ``Arg`` and ``From``."""

    query: Mapping[str, Any]
    headers: Mapping[str, Any]
    body: Any
    encoding: str
    media_type: str
    idempotency: Literal["off", "auto"]
    idempotency_header: str
    select: str
    redact: list[str]
    paging: Paging
    files: list[str]
    errors: Mapping[int | str, str]
    retry: Retry


class CodeOptions(SharedOptions, total=False):
    """What a code tool may say besides. ``max_calls``: how many calls its code may make in one call of it."""

    max_calls: int
    redact: list[str]


class UpstreamOptions(TypedDict, total=False):
    """What may be said of the API besides where it is and which token it takes."""

    owner: str
    headers: Mapping[str, str]
    timeout: str
    retry: Retry
    limits: Limits


@dataclass(frozen=True, slots=True, eq=False)
class Declared:
    """One function of a tool set. Without ``method`` it is a code tool."""

    function: Callable[..., Any]
    options: Mapping[str, Any]
    method: str = ""
    path: str = ""


class ToolSet:
    """One API: its name, where it is (``env`` where that differs), the token it takes (``None`` for no token)."""

    def __init__(
        self,
        name: str,
        *,
        base_url: str,
        auth: TokenExchange | ClientCredentials | None,
        **options: Unpack[UpstreamOptions],
    ) -> None:
        self.name = name
        self.base_url = base_url
        self.auth = auth
        self.options: Mapping[str, Any] = options
        self.declared: list[Declared] = []
        frame = inspect.currentframe()
        self.line = frame.f_back.f_lineno if frame and frame.f_back else 1

    def get(self, path: str, **options: Unpack[RequestOptions]) -> Callable[[Function], Function]:
        """A tool that is a GET."""
        return self._declaring(options, "GET", path)

    def post(self, path: str, **options: Unpack[RequestOptions]) -> Callable[[Function], Function]:
        """A tool that is a POST."""
        return self._declaring(options, "POST", path)

    def put(self, path: str, **options: Unpack[RequestOptions]) -> Callable[[Function], Function]:
        """A tool that is a PUT."""
        return self._declaring(options, "PUT", path)

    def patch(self, path: str, **options: Unpack[RequestOptions]) -> Callable[[Function], Function]:
        """A tool that is a PATCH."""
        return self._declaring(options, "PATCH", path)

    def delete(self, path: str, **options: Unpack[RequestOptions]) -> Callable[[Function], Function]:
        """A tool that is a DELETE."""
        return self._declaring(options, "DELETE", path)

    def tool(self, **options: Unpack[CodeOptions]) -> Callable[[Function], Function]:
        """A tool that is code: ``async def``, with a ``Ctx`` as its first parameter."""
        return self._declaring(options)

    def _declaring(
        self, options: Mapping[str, Any], method: Method | Literal[""] = "", path: str = ""
    ) -> Callable[[Function], Function]:
        def declare(function: Function) -> Function:
            self.declared.append(Declared(function, options, method, path))
            return function

        return declare


def env(name: str, default: str | None = None) -> str:
    """A value that the environment (or the setting ``variables``) fills in when the tools are loaded."""
    return f"${{{name}}}" if default is None else f"${{{name}:-{default}}}"
