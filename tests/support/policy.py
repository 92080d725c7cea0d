"""The sample company's policy, a few of its tools, and questions about them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from remit.catalog.compile import compile_text
from remit.catalog.document import read_document
from remit.catalog.tool import Tool, ToolAuth
from remit.policy.bundle import Bundle
from remit.policy.decision import Decision
from remit.policy.input import ExchangeTarget, Phase, Question
from remit.policy.obligations import OF_AN_EXCHANGE
from remit.policy.rego import RegoEngine
from remit.principal import ActingParty, Actor, Assurance, Principal
from support.clock import FakeClock

NOW = 1_800_000_000
SAMPLE = Path(__file__).parents[2] / "src" / "remit" / "demo" / "policy"
LIBRARY = SAMPLE.parents[1] / "policy" / "library"
RUNNER = ActingParty(Actor("agent-runner", "https://sts.example"), Assurance.AUTHENTICATED, "actor_token")

_TOOLS = """
version: 1
name: {name}
upstream:
  baseUrl: https://{name}.example
  auth: {{audience: {name}-api, scopes: ["{name}:read"], maxTtl: 120s}}
tools:
  - name: get_{name}
    description: Read one thing by its id, with everything that belongs to it.
    input: {{type: object, required: [id], properties: {{id: {{type: string}}}}}}
    request: {{method: GET, path: "/things/{{id}}"}}
  - name: refund_{name}
    description: Refund all or a part. Money moves, so ask the user before calling.
    input: {{type: object, required: [id], properties: {{id: {{type: string}}, amount: {{type: integer}}}}}}
    request: {{method: POST, path: "/things/{{id}}/refunds", body: {{amount: $amount}}}}
    auth: {{scopes: ["{name}:write"]}}
    annotations: {{destructive: true}}
    tags: [money]
    policy: {{moneyField: amount}}
"""


@cache
def tool(name: str) -> Tool:
    """``get_…`` or ``refund_…`` of the file named after the underscore."""
    file = name.partition("_")[2]
    compiled = compile_text(_TOOLS.format(name=file), f"{file}.yaml", {})
    assert not compiled.problems
    return next(each for each in compiled.tools if each.name == name)


def person(role: str = "support-lead", **changes: Any) -> Principal:
    """A verified caller with one role."""
    values: dict[str, Any] = {
        "subject": "alice",
        "issuer": "https://idp.example",
        "client_id": "agent-runner",
        "audience": ("https://bridge.example",),
        "scopes": ("orders:read", "orders:write"),
        "roles": (role,),
        "expires_at": NOW + 900,
    }
    return Principal(**{**values, **changes})


def question(name: str = "get_orders", **changes: Any) -> Question:
    """A sound question about a tool: alice's own call over MCP."""
    values: dict[str, Any] = {
        "phase": Phase.TOOL_CALL,
        "principal": person(),
        "acting": RUNNER,
        "tool": tool(name),
        "now": NOW,
        "arguments": {"id": "O77"},
        "door": "mcp",
    }
    return Question(**{**values, **changes})


#: An engine may be let go in the thread that made it alone, and garbage is collected in whichever comes by.
_KEPT: list[RegoEngine] = []


def exchange(audience: str = "orders-api", **changes: Any) -> Question:
    """A sound question about a token for ``audience``: alice's agent runner asks for it."""
    target = ExchangeTarget(ToolAuth("token-exchange", audience, "", ("orders:read",), "optional", 120))
    values: dict[str, Any] = {"phase": Phase.TOKEN_EXCHANGE, "tool": target, "arguments": {}}
    return question(**{**values, "supported": OF_AN_EXCHANGE, **changes})


def engine(source: str, data: dict[str, Any] | None = None) -> RegoEngine:
    """An engine for one module, ``authz.rego``."""
    _KEPT.append(RegoEngine(Bundle.of({"authz.rego": source}, data), FakeClock()))
    return _KEPT[-1]


def standard(tables: dict[str, Any], rules: str = "") -> RegoEngine:
    """An engine for the standard policy with these tables, and with own rules of ``package remit.rules``."""
    return _standard(json.dumps(tables), rules)


@lru_cache(16)
def _standard(tables: str, rules: str) -> RegoEngine:
    modules = {f"remit/{name}": (LIBRARY / name).read_text("utf-8") for name in ("standard.rego", "authz.rego")}
    own = {"rules.rego": f"package remit.rules\nimport rego.v1\n{rules}"} if rules else {}
    return RegoEngine(Bundle.of({**modules, **own}, json.loads(tables)), FakeClock())


def edit_tables(workspace: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the tables of the policy in a workspace."""
    file = workspace / "policy" / "data.yaml"
    tables = read_document(file.read_text("utf-8")).data
    change(tables)
    file.write_text(json.dumps(tables), "utf-8")  # JSON is YAML


def allow_api(workspace: Path, name: str) -> None:
    """Support leads may use one more API."""
    edit_tables(workspace, lambda tables: tables["roles"]["support-lead"].update({name: ["read", "write"]}))


def answering(term: str) -> RegoEngine:
    """An engine that denies nobody's question, and answers ``term`` to every other."""
    return engine(
        "package remit.authz\nimport rego.v1\n"
        'decision := {"allow": false} if input.subject.id == ""\n'
        f'decision := {term} if input.subject.id != ""\n'
    )


def decide(engine: RegoEngine, asked: Question) -> Decision:
    """The engine's decision."""
    return asyncio.run(engine.decide(asked.document()))
