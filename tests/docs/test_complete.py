"""The pages of docs/ say all there is, and nothing that is not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import typer

from remit import errors
from remit.audit import chain
from remit.audit.trail import Trail
from remit.call import Parent
from remit.catalog.binding import CONTEXT
from remit.catalog.compile import compile_text
from remit.catalog.definition import ToolFile
from remit.catalog.lint_finding import RULES
from remit.catalog.tool import Tool
from remit.cli.common import Exit
from remit.cli.main import app
from remit.downstream.request import CallContext, build_request
from remit.downstream.response import ApiResponse
from remit.downstream.result import shape
from remit.errors import DownstreamError, DownstreamFailed, RequestUnusable
from remit.policy.gate import BUILTINS
from remit.policy.input import Phase, empty_document
from remit.policy.obligations import SUPPORTED
from remit.settings import SecretRef, Settings
from support.clock import FakeClock
from support.docs import ROOT, codes, page, rows
from support.models import Member, members
from support.trail import ALICE, DIFFERENCE, RUNNER, Decision, MemoryStore, Reason, Request, Response, play
from support.trail import Tool as SeenTool

SETTINGS = page("settings.md")
TOOLS = page("tools.md")
POLICY = page("policy.md")
CLI = page("cli.md")
SECURITY = page("security.md")

# ── settings ─────────────────────────────────────────────────────────────────────────────


def settings() -> dict[str, Member]:
    return {member.path: member for member in members(Settings) if not member.is_section}


def documented_settings() -> dict[str, list[str]]:
    return {row[0]: row for row in rows(SETTINGS.text, "setting")}


def test_every_setting_is_there_and_no_other() -> None:
    assert sorted(documented_settings()) == sorted(settings())


def test_the_default_and_the_variable_of_each_setting_are_right() -> None:
    for path, member in settings().items():
        _, kind, default, variable, meaning = documented_settings()[path]
        assert member.has_default(default), f"{path}: {default}"
        assert variable == variable_of(member), path
        assert kind, path
        assert meaning, path


def variable_of(member: Member) -> str:
    """What stands inside a list or mapping has none; of an optional section its members have one."""
    inside = "[" in member.path or "<" in member.path
    section = isinstance(member.model, type) and SecretRef in get_args(member.field.annotation)
    return "—" if inside or section else f"REMIT_{member.path.replace('.', '__').upper()}"


# ── tool files ───────────────────────────────────────────────────────────────────────────


def documented_keys() -> dict[str, str]:
    return {row[0]: row[1] for row in rows(TOOLS.text, "key")}


def test_every_key_of_a_tool_file_is_there_and_no_other() -> None:
    assert sorted(documented_keys()) == sorted(member.path for member in members(ToolFile))


def test_the_default_of_each_key_is_right() -> None:
    wrong = [member.path for member in members(ToolFile) if not member.has_default(documented_keys()[member.path])]
    assert wrong == []


def a_tool(style: str = "form") -> Tool:
    file = f"""
version: 1
name: shop
upstream: {{baseUrl: https://shop.example.com, auth: {{audience: shop}}}}
tools:
  - name: find
    description: Finds what the test looks for.
    input: {{type: object, properties: {{x: {{type: [array, object]}}}}}}
    request: {{method: GET, path: /, query: {{x: $x}}, style: {{x: {style}}}}}
"""
    compiled = compile_text(file, "shop.yaml", {})
    assert not compiled.problems
    return compiled.tools[0]


def test_each_style_writes_what_the_table_shows() -> None:
    table = rows(TOOLS.text, "style")
    assert len(table) == 7
    for style, *shown in table:
        tool = a_tool(style.removesuffix(" (default)"))
        values: list[Any] = [["a", "b"], {"k": "v"}]
        assert [_query(tool, value) for value in values] == shown, style


def _query(tool: Tool, value: Any) -> str:
    try:
        request = build_request(tool, {"x": value}, CallContext({}, {}, {"id": "1"}))
    except RequestUnusable:
        return "refused"
    return request.url.partition("?")[2]


def test_what_a_request_may_take_from_the_call_is_named() -> None:
    text = TOOLS.section("How arguments reach the wire")
    assert set(CONTEXT) <= set(codes(text))


def test_an_api_status_reads_as_the_table_shows() -> None:
    examples = {"3xx": [302], "409, 412": [409, 412], "other 4xx": [418], "other 5xx": [500]}
    table = rows(TOOLS.text, "status")
    assert len(table) == 11
    for label, sentence in table:
        for status in examples.get(label) or [int(label)]:
            with pytest.raises(DownstreamError) as refused:
                shape(a_tool(), ApiResponse(status, {}, b""))
            assert refused.value.message == f"shop {sentence} ({status})"


def test_every_finding_of_lint_is_there_as_it_is() -> None:
    section = TOOLS.section("What lint finds")
    listed = [[_bare(cell) for cell in row] for row in rows(section, "finding")]
    known = [[code, rule.severity, rule.text, rule.mend] for code, rule in RULES.items()]
    assert listed == [[_bare(cell) for cell in row] for row in known]


def _bare(text: str) -> str:
    return text.replace("`", "")


# ── policy ───────────────────────────────────────────────────────────────────────────────


def leaves(document: Any, path: str) -> Iterator[str]:
    if isinstance(document, dict) and document:
        for name, value in document.items():
            yield from leaves(value, f"{path}.{name}")
    else:
        yield path


def test_every_member_of_the_input_is_there_and_no_other() -> None:
    described = [row[0] for row in rows(POLICY.section("The input"), "member")]
    assert described == list(leaves(empty_document(Phase.TOOL_CALL), "input"))


def test_every_phase_and_obligation_is_there() -> None:
    assert [row[0] for row in rows(POLICY.text, "input.phase")] == [phase.value for phase in Phase]
    assert {row[0] for row in rows(POLICY.section("Obligations"), "type")} == set(SUPPORTED)


def test_the_functions_a_policy_may_call_are_those() -> None:
    listed = POLICY.section("Guard rails").partition("```text\n")[2].partition("```")[0].split()
    assert listed == sorted(BUILTINS)


# ── command line ─────────────────────────────────────────────────────────────────────────


def command_tree() -> dict[str, Any]:
    """Every command by its full name, and ``remit`` itself."""
    root: Any = typer.main.get_command(app)
    found = {"remit": root}
    waiting = [("remit", root)]
    while waiting:
        name, group = waiting.pop()
        for part, command in group.commands.items():
            found[f"{name} {part}"] = command
            if hasattr(command, "commands"):
                waiting.append((f"{name} {part}", command))
                if not command.params:
                    del found[f"{name} {part}"]  # does nothing by itself
    return found


@pytest.mark.parametrize("name", sorted(command_tree()))
def test_every_option_of_a_command_is_there_and_no_other(name: str) -> None:
    heading = "Options before the command" if name == "remit" else name
    described = {word.split()[0] for row in rows(CLI.section(heading), "option") for word in row[0].split(", ")}
    options = {text for option in command_tree()[name].params for text in option.opts if text.startswith("-")}
    assert described - {"--help", "-h"} == options


def test_no_command_is_there_that_is_not() -> None:
    headings = {line[4:].replace("`", "") for line in CLI.text.splitlines() if line.startswith("### ")}
    assert headings == set(command_tree()) - {"remit"}


def test_every_exit_code_is_there_and_no_other() -> None:
    listed = [int(row[0]) for row in rows(CLI.section("Exit codes"), "code")]
    assert listed == sorted([*Exit, 130])


# ── security ─────────────────────────────────────────────────────────────────────────────


def all_errors(of: type[errors.RemitError] = errors.RemitError) -> Iterator[type[errors.RemitError]]:
    for error in of.__subclasses__():
        if error.__module__ == errors.__name__:
            yield error
            yield from all_errors(error)


def test_every_error_code_is_there_once_and_no_other() -> None:
    listed = [row[0] for row in rows(SECURITY.section("Error codes"), "code")]
    assert sorted(listed) == sorted({error.code for error in all_errors()})
    assert all(all(row) for row in rows(SECURITY.section("Error codes"), "code"))


def recorded() -> set[str]:
    """Every member of the records of calls that succeed, fail, and are denied, and of those beside them."""
    store = MemoryStore()

    async def one(error: Exception | None) -> None:
        arguments = {"order_id": "O77"}
        trail, parent = Trail(store, FakeClock()), Parent("call", "tool")
        async with trail.record(door="cli", tool="t", arguments=arguments, parent=parent) as record:
            if error is None:
                await play(record)
                record.called(Request(), Response())
                record.broke_off("downstream_failed")
                record.made_calls(2)
                return
            record.identified(ALICE, RUNNER)
            record.found(SeenTool(description_digest="d" * 64))
            record.decided(Decision(reasons=(Reason("code", "message"),), detail="why"))
            raise error

    async def main() -> None:
        await one(None)
        with pytest.raises(DownstreamFailed):
            await one(DownstreamFailed("it failed", detail="500"))
        await Trail(store, FakeClock()).shadow("call", DIFFERENCE)

    asyncio.run(main())
    found: set[str] = set()
    for record in store.records:
        sealed = chain.seal(record, chain.GENESIS)
        for name, value in sealed.facts.items():
            nested = isinstance(value, dict) and name != "durations"
            found |= {f"{name}.{member}" for member in value} if nested else {name}
    return found


#: What a tool call does not have: traffic that the gateway passes on or hands over, what operators and approvers do.
ELSEWHERE = {
    "downstream.request_bytes",
    "downstream.carried_by",
    *(f"control.{name}" for name in ("action", "by", "kind", "value", "number", "reason", "dropped")),
    *(f"control.{name}" for name in ("approval", "tool", "approver", "approver_issuer", "method")),
    *(f"control.{name}" for name in ("subject", "subject_issuer", "actor", "actor_issuer")),
}


def test_every_member_of_a_record_is_there_and_no_other() -> None:
    listed = [row[0] for row in rows(SECURITY.section("What is recorded"), "member")]
    assert sorted(listed) == sorted(recorded() | ELSEWHERE)


@pytest.mark.parametrize("row", rows(SECURITY.text, "check"), ids=lambda row: row[0][:50])
def test_what_is_checked_is_tested_where_it_says(row: list[str]) -> None:
    _, _, module, test = row
    assert (ROOT / "src" / "remit" / module).is_file()
    file, _, name = test.partition("::")
    assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")
