"""Path: every problem of settings, secrets, tools, policy and keys, at once; nothing is served or called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from remit.app import gateway, registry
from remit.app.policy import for_one, start_engine
from remit.authorization.passwords import PasswordFile
from remit.catalog.loader import load_catalog
from remit.catalog.tool import Tool
from remit.clock import SystemClock
from remit.errors import DefinitionInvalid, SetupError
from remit.settings import Settings, environment, survey_settings
from remit.sts.keys import KeyDirectory


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found: short facts of what is right, and every problem."""

    facts: tuple[str, ...]
    problems: tuple[SetupError, ...]

    @property
    def ok(self) -> bool:
        """Whether everything could be served as it is."""
        return not self.problems


def check_all(config: Path | None) -> Checked:
    """Check everything that `remit serve` would need; behind mistaken settings, what does not depend on them."""
    survey = survey_settings(config)
    if survey.settings is None:
        return Checked((), survey.problems)
    facts = [] if survey.problems else ["settings ok"]
    problems: list[SetupError] = [*survey.problems]
    for part, needed in _PARTS.items():
        if survey.problems and (not needed or needed & survey.mistaken):
            continue
        fact, found = part(survey.settings)
        facts += [fact] if fact else []
        problems += found
    return Checked(tuple(facts), tuple(problems))


_Found = tuple[str, list[SetupError]]


def _tools(settings: Settings) -> _Found:
    variables = {**settings.variables, **environment()}
    cache = settings.descriptions_dir
    report = load_catalog(settings.tools, variables, settings.tools_lock, python=settings.python_tools, cache=cache)
    problems: list[SetupError] = [
        DefinitionInvalid(problem.message, where=problem.where, hint=problem.hint) for problem in report.problems
    ]
    problems += (problem for tool in report.catalog.tools.values() for problem in _own_token(tool, settings))
    off = " (Python files are not run)" if report.passed_over else ""
    return f"{len(report.catalog.tools)} tools ok{off}", problems


def _own_token(tool: Tool, settings: Settings) -> Iterator[SetupError]:
    """A call without the user in its token is one that the settings have to allow."""
    names = {tool.auth.audience, tool.auth.resource} - {""}
    if tool.auth.type == "client-credentials" and not names.issubset(settings.exchange.own_token_targets):
        message = f"{tool.name} would be called with a token that does not name the user, which is not allowed"
        hint = f"name {' and '.join(sorted(names))} in exchange.own_token_targets, or exchange the user's token"
        yield DefinitionInvalid(message, where=tool.where, hint=hint)


def _policy(settings: Settings) -> _Found:
    """The policy, started as `remit serve` would, and its shadow; a second policy is one more thing to be right."""
    fact, found = _trying(lambda: f"policy {asyncio.run(_revision(settings))} ok")
    if settings.policy.shadow is None:
        return fact, found
    shadow = settings.model_copy(
        update={"policy": settings.policy.model_copy(update={"engine": "embedded", "path": settings.policy.shadow})}
    )
    return fact, found + _trying(lambda: asyncio.run(_revision(shadow)))[1]


async def _revision(settings: Settings) -> str:
    engine = await start_engine(for_one(settings), SystemClock())
    await engine.aclose()
    return engine.revision


def _clients(settings: Settings) -> _Found:
    """Every client of the embedded token service, its other issuers, and the agent's own proof."""
    checks: list[Callable[[], object]] = []
    if settings.sts.enabled:
        checks += [partial(registry.client, client_id, settings) for client_id in settings.sts.clients]
        checks.append(partial(registry.subject_issuers, settings))
    remote = settings.exchange.service == "remote"
    checks.append(partial(registry.client_authentication if remote else registry.runner, settings))
    found = [problem for check in checks for problem in _trying(check)[1]]
    problems = list({(problem.where, problem.message): problem for problem in found}.values())
    fact = f"agent {settings.agent.client_id} ok" if remote else f"{len(settings.sts.clients)} clients ok"
    return "" if problems else fact, problems


def _gateway(settings: Settings) -> _Found:
    routes = settings.gateway.routes
    return f"{len(routes)} routes ok" if routes else "", list(gateway.problems(settings))


def _keys(settings: Settings) -> _Found:
    """An existing key ring is read; one that is not there yet is none's problem, and is not made here."""

    def check() -> str:
        keys = KeyDirectory(settings.keys_dir).read().keys
        return f"{len(keys)} signing {'key' if len(keys) == 1 else 'keys'} ok" if keys else ""

    return _trying(check) if settings.sts.enabled else ("", [])


def _sign_in(settings: Settings) -> _Found:
    """The clients that people sign in through, and the passwords."""
    if not settings.sign_in.enabled:
        return "", []

    def passwords() -> str:
        able = PasswordFile(settings.passwords_file).read().keys() & settings.sts.users.keys()
        return f"{len(able)} can sign in with a password" if settings.sign_in.upstream is None else "sign-in ok"

    checks = (registry.sign_in_clients, registry.upstream_secret)
    found = [problem for check in checks for problem in _trying(partial(check, settings))[1]]
    fact, unreadable = _trying(passwords)
    return "" if found else fact, found + unreadable


def _trying(check: Callable[[], object]) -> _Found:
    """What ``check`` says, where it is text, or what is wrong."""
    try:
        said = check()
    except SetupError as error:
        return "", [error]
    return said if isinstance(said, str) else "", []


#: What is checked, in this order, and the settings each depends on; nothing named: on all of them.
_PARTS: Final[Mapping[Callable[[Settings], _Found], frozenset[str]]] = {
    _tools: frozenset({"tools", "tools_lock", "python_tools", "variables"}),
    _policy: frozenset({"policy"}),
    _clients: frozenset(),
    _sign_in: frozenset(),
    _gateway: frozenset(),
    _keys: frozenset(),
}
