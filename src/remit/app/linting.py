"""Path: what should be better about tool files, with the settings and the policy they will meet. Nothing is called.

1. each file by itself, and all tools together (``remit.catalog.lint``)
2. scopes that no client may have or no user has, where the token service is the embedded one
3. tools that policy hides from everybody who is known
4. tools that are not what was approved, where somebody approves them

What cannot be looked at is left out, and the reason is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from remit.app.showing import shown_by
from remit.app.trying import Tried, trying
from remit.catalog.descriptions import Descriptions
from remit.catalog.lint import Linted, finding_of, lint_list, lint_python, lint_text, tool_finding
from remit.catalog.lint_finding import Finding
from remit.catalog.loader import PYTHON, YAML, find_files, is_part, read_text
from remit.catalog.lock_files import Locks
from remit.catalog.problem import Problem
from remit.catalog.python import read_python
from remit.catalog.tool import Tool
from remit.clock import Clock
from remit.errors import SetupError
from remit.settings import Settings, TargetSettings, environment


@dataclass(slots=True)
class Reviewed:
    """What was found, by place. ``left_out``: what was not looked at, and why."""

    findings: list[Finding] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)
    files: int = 0
    left_out: list[str] = field(default_factory=list)


async def review(settings: Settings, paths: Sequence[Path], clock: Clock) -> Reviewed:
    """Look at the tool files that ``paths`` name or hold."""
    reviewed = Reviewed()
    _read(settings, paths, reviewed)  # 1
    reviewed.findings += lint_list(reviewed.tools)
    reviewed.findings += _scope_findings(settings, reviewed)  # 2
    await _find_hidden(settings, reviewed, clock)  # 3
    reviewed.findings += _unlocked(settings, reviewed.tools)  # 4
    reviewed.findings.sort()
    return reviewed


def _read(settings: Settings, paths: Sequence[Path], reviewed: Reviewed) -> None:
    suffixes = YAML | PYTHON if settings.python_tools else YAML
    files, problems = find_files(paths, suffixes)
    reviewed.findings += map(finding_of, problems)
    variables = {**settings.variables, **environment()}
    descriptions = Descriptions(settings.descriptions_dir)
    looked_at = {file: _linted(file, variables, descriptions) for file in files}
    described = descriptions.paths
    for file, linted in looked_at.items():
        if linted.tools or not is_part(file, described):
            reviewed.files += 1
            reviewed.findings += linted.findings
            reviewed.tools += linted.tools


def _linted(file: Path, variables: Mapping[str, str], descriptions: Descriptions) -> Linted:
    name, text = file.as_posix(), read_text(file)
    if isinstance(text, Problem):
        return Linted((finding_of(text),))
    if file.suffix in PYTHON:
        return lint_python(read_python(text, name), text, name, variables)
    return lint_text(text, name, variables, descriptions)


# ── scopes ───────────────────────────────────────────────────────────────────────────────


def _scope_findings(settings: Settings, reviewed: Reviewed) -> Iterator[Finding]:
    if settings.exchange.service != "embedded" or not settings.sts.clients:
        reviewed.left_out.append("scopes: the settings register no clients of the embedded token service")
        return
    if not settings.sts.users:
        reviewed.left_out.append("scopes of users: the settings name no development users")
    held = {scope for user in settings.sts.users.values() for scope in user.scopes}
    for tool in reviewed.tools:
        if tool.auth.type != "token-exchange":
            continue
        if targets := _targets(settings, tool):
            obtainable = {scope: each.translate.get(scope, scope) for each in targets for scope in each.scopes}
            yield from _scopes_of(tool, obtainable, held, known=bool(settings.sts.users))
        else:
            yield _unreachable(settings, tool)


def _targets(settings: Settings, tool: Tool) -> list[TargetSettings]:
    """What clients may have tokens for the tool's API."""
    names = {tool.auth.audience, tool.auth.resource} - {""}
    targets = (target for client in settings.sts.clients.values() for target in client.targets)
    return [target for target in targets if names & {target.audience, target.resource}]


def _unreachable(settings: Settings, tool: Tool) -> Finding:
    kind = "audience" if tool.auth.audience else "resource"
    api = tool.auth.audience or tool.auth.resource
    target = f'{{{kind}: "{api}", scopes: [{", ".join(tool.auth.scopes)}]}}'
    fix = f"add {target} to sts.clients.{settings.agent.client_id}.targets"
    return tool_finding("T204", tool, f"no client of the token service may have a token for {api}", fix)


def _scopes_of(tool: Tool, obtainable: dict[str, str], held: set[str], *, known: bool) -> Iterator[Finding]:
    api = tool.auth.audience or tool.auth.resource
    for scope in tool.auth.scopes:
        if scope not in obtainable:
            message = f"no client of the token service may have {scope} at {api}"
            fix = "add it to a target of sts.clients, or take it out of the tool"
            yield tool_finding("T204", tool, message, fix)
        elif known and obtainable[scope] not in held:
            fix = "give it to a user of sts.users, or take it out of the tool"
            yield tool_finding("T205", tool, f"no user has the scope {obtainable[scope]}", fix)


# ── policy ───────────────────────────────────────────────────────────────────────────────


async def _find_hidden(settings: Settings, reviewed: Reviewed, clock: Clock) -> None:
    if not settings.sts.users or not reviewed.tools:
        if reviewed.tools:
            reviewed.left_out.append("policy: the settings name no development users to ask it about")
        return
    try:
        async with trying(settings, clock) as tried:
            hidden = await _hidden(settings, reviewed.tools, tried, clock)
    except SetupError as error:
        reviewed.left_out.append(f"policy: {error.message}")
        return
    message = f"policy shows it to no user of sts.users through {settings.agent.client_id}"
    for tool in hidden:
        access = "read" if tool.annotations.read_only else "write"
        fix = f"permit it in policy, in the standard one by `{tool.upstream}: [{access}]` under a role; or take it out"
        reviewed.findings.append(tool_finding("T206", tool, f"{tool.name}: {message}", fix))


async def _hidden(settings: Settings, tools: Sequence[Tool], tried: Tried, clock: Clock) -> list[Tool]:
    """The tools that nobody sees. Each user is asked about only as long as there are any."""
    left = list(tools)
    for user in settings.sts.users:
        if not left:
            break
        seen = set(await shown_by(tried, settings, user, left, clock))
        left = [tool for tool in left if tool not in seen]
    return left


# ── lock ─────────────────────────────────────────────────────────────────────────────────


def _unlocked(settings: Settings, tools: Sequence[Tool]) -> Iterator[Finding]:
    locks = Locks([path.resolve() for path in settings.tools])
    for fault in locks.faults:
        yield Finding(fault.file, 0, 0, "T406", fault.message, fault.hint)
    for tool in tools:
        lock = locks.lock_for(Path(tool.where.rpartition(":")[0]).resolve())
        change = lock.difference(tool) if lock is not None else None
        if change is not None:
            said = "is not in tools.lock" if change.kind == "new" else "is not what tools.lock approved"
            yield tool_finding("T406", tool, f"{tool.name} {said}", "review the change, then `remit tools lock`")
