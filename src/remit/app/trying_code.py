"""Path: the code of a tool, run with the answers of an example in the place of the API's. Nothing is called.

Its requests are looked at only as far as the file they stand in: neither scopes nor policy of each are tried.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from remit.catalog.code import Code
from remit.catalog.tool import Tool
from remit.downstream.mocked import MockAnswer
from remit.downstream.request import CallContext
from remit.downstream.response import ApiResponse
from remit.downstream.result import ToolResult, shape
from remit.errors import (
    CallRefused,
    CodeFailed,
    CodeTimeout,
    DownstreamFailed,
    DownstreamRefused,
    DownstreamUnavailable,
    RemitError,
    RequestUnusable,
)
from remit.logs import kind_and_place
from remit.tools.context import ApiCall, Ctx


async def run_with(
    tool: Tool, code: Code, arguments: Mapping[str, Any], context: CallContext, answers: Sequence[MockAnswer]
) -> tuple[ToolResult, int]:
    """The result of the code, and how many answers it took. Raises as the call would: leaves of ``RemitError``."""
    calls = _Answers(code, answers)
    ctx = Ctx(calls, user=context.user["sub"], agent=context.actor["sub"], call_id=context.call["id"])
    try:
        async with asyncio.timeout(tool.timeout):
            content = json.dumps(await code.run(ctx, arguments), allow_nan=False).encode()
    except TimeoutError:
        raise CodeTimeout(f"{tool.name} was not done within {tool.timeout:g} s") from None
    except RemitError:
        raise
    except (Exception, SystemExit) as error:  # whatever a tool's code does is told as its failure
        raise CodeFailed(f"the code of {tool.name} failed: {kind_and_place(error)}") from error
    return shape(tool, ApiResponse(200, {"content-type": "application/json"}, content)), calls.used


class _Answers:
    """What the code is given to make calls with."""

    def __init__(self, code: Code, answers: Sequence[MockAnswer]) -> None:
        self.used = 0
        self._code = code
        self._answers = answers

    async def request(self, call: ApiCall) -> Any:
        """The next answer's data."""
        what = f"{call.method} {call.path}"
        try:
            self._code.plan(call.method, call.path)
        except RequestUnusable as error:
            _refuse(what, error.code, error.message)
        if self.used == len(self._answers):
            _refuse(what, DownstreamUnavailable.code, "the example has no more answers")
        answer = self._answers[self.used]
        self.used += 1
        if answer.status >= 300:
            code = DownstreamFailed.code if answer.status >= 500 else DownstreamRefused.code
            _refuse(what, code, f"the API answers {answer.status}", answer.status)
        return answer.body

    async def tool(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Another tool has an API of its own, which no example of this one answers for."""
        del arguments
        _refuse(name, RequestUnusable.code, "an example has no answers of other tools")


def _refuse(what: str, reason: str, why: str, status: int = 0) -> NoReturn:
    raise CallRefused(f"a call that this tool makes did not succeed, {what}: {why}", reason=reason, status=status)
