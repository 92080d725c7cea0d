"""A code tool: its own call and every call its code makes go the bridge's way."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog

from remit.approvals.approval import ApprovalAnswer
from remit.audit.event import Kind
from remit.call import ToolCall
from remit.catalog.tool import Catalog
from remit.errors import (
    ApprovalRequired,
    ArgumentsInvalid,
    CallRefused,
    CodeFailed,
    CodeTimeout,
    RateLimited,
    RequestUnusable,
    ResponseUnusable,
    ScopeInsufficient,
)
from remit.logs import configure
from remit.sts.users import DevelopmentUser
from support.code_tools import serving, tools_of
from support.issuer import claims_of
from support.path import Path, permit_with
from support.policy import answering, engine

pytestmark = pytest.mark.anyio


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], root.level = before
    structlog.reset_defaults()


SETTLE = '''
class Settlement(BaseModel):
    order: str
    refunded: bool

@desk.tool(scopes=["orders:read", "refunds:write"])
async def settle(ctx: Ctx, order_id: str, amount: int = 1) -> Settlement:
    """Look at an order, and refund it where it is open."""
    order = await ctx.api.scoped("orders:read").get("/orders/{id}", id=order_id)
    await ctx.api.post("/orders/{id}/refunds", id=order_id, query={"dry": False}, body={"amount": amount, "by": ctx.user})
    return Settlement(order=order["id"], refunded=True)
'''


def ok(data: Any) -> httpx.Response:
    return httpx.Response(200, json=data)


def outcomes(path: Path) -> list[dict[str, Any]]:
    return [record for record in path.store.records if record["kind"] == Kind.OUTCOME]


def code(body: str, options: str = "", parameters: str = "") -> str:
    """A code tool called ``work`` with this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"""
@desk.tool(scopes=["orders:read", "refunds:write"]{options})
async def work(ctx: Ctx{parameters}) -> Any:
    "Does what the test says it does."
{lines}
"""


async def work(path: Path, body: str, **options: Any) -> Any:
    """What such a tool gives."""
    serving(path, code(body, **options))
    return (await path.call("work", {})).result.data


# ── what a call is ───────────────────────────────────────────────────────────────────────


async def test_each_call_is_recorded_before_it_leaves_and_has_a_token_of_its_own() -> None:
    path = serving(Path(answers=[ok({"id": "O1"}), ok({})]), SETTLE)
    given = await path.call("settle", {"order_id": "O1", "amount": 5})
    assert given.result.data == {"order": "O1", "refunded": True}
    assert path.order == [
        "intent",  # of the tool's own call
        *("intent", "exchange", "call", "outcome"),
        *("intent", "exchange", "call", "outcome"),
        "outcome",
    ]
    first, second = (claims_of(token) for token in path.service.given[-2:])
    assert (first["sub"], first["aud"], first["scope"]) == ("alice", "orders", "orders:read")
    assert (second["sub"], second["aud"], second["scope"]) == ("alice", "orders", "orders:read refunds:write")
    assert first["jti"] != second["jti"]
    assert first["act"]["sub"] == "agent-runner"


async def test_the_requests_are_what_the_code_says() -> None:
    path = serving(Path(answers=[ok({"id": "a/b ?"}), ok({})]), SETTLE)
    await path.call("settle", {"order_id": "a/b ?", "amount": 5})
    get, post = path.sent
    assert str(get.url) == "https://orders.example/v1/orders/a%2Fb%20%3F"
    assert str(post.url) == "https://orders.example/v1/orders/a%2Fb%20%3F/refunds?dry=false"
    assert json.loads(post.content) == {"amount": 5, "by": "alice"}


async def test_each_call_names_the_call_it_belongs_to() -> None:
    path = serving(Path(answers=[ok({"id": "O1"}), ok({})]), SETTLE)
    given = await path.call("settle", {"order_id": "O1"})
    whole, *inner = [record for record in path.store.records if record["kind"] == Kind.INTENT]
    assert whole["call_id"] == given.call_id
    assert "parent" not in whole
    assert whole["requested"]["scopes"] == ["orders:read", "refunds:write"]
    assert [each["parent"] for each in inner] == [{"call_id": given.call_id, "tool": "settle"}] * 2
    assert [each["tool"]["name"] for each in inner] == [
        "settle:GET:/orders/{id}",
        "settle:POST:/orders/{id}/refunds",
    ]
    assert len({each["call_id"] for each in (whole, *inner)}) == 3
    assert path.outcome["inner_calls"] == 2
    assert [each["downstream"]["path"] for each in outcomes(path)[:2]] == ["/orders/{id}", "/orders/{id}/refunds"]


async def test_policy_sees_each_call_and_whose_code_makes_it() -> None:
    rego = """
    package remit.authz
    import rego.v1
    refused if {
        input.context.parent == "settle"
        input.action.properties.http_method == "POST"
        input.resource.properties.path == "/orders/{id}/refunds"
        input.resource.id == "settle:POST:/orders/{id}/refunds"
        input.action.properties.effect == "write"
        input.arguments == {"id": "O1", "query": {"dry": false}, "body": {"amount": 5, "by": "alice"}}
        input.token.requested.scopes == ["orders:read", "refunds:write"]
    }
    decision := {"allow": true} if not refused
    decision := {"allow": false, "reasons": [{"code": "no", "message": "not today", "audience": "user"}]} if refused
    """
    path = serving(Path(policy=engine(rego), answers=[ok({"id": "O1"})]), SETTLE)
    with pytest.raises(CallRefused) as refused:
        await path.call("settle", {"order_id": "O1", "amount": 5})
    assert refused.value.code == "call_refused"
    assert refused.value.reason == "access_denied"
    assert "POST /orders/{id}/refunds: not today (access_denied)" in refused.value.message
    assert len(path.sent) == 1
    denied, whole = outcomes(path)[-2:]
    assert (denied["outcome"], denied["parent"]["tool"]) == ("denied", "settle")
    assert (whole["outcome"], whole["error"]["code"]) == ("failure", "call_refused")
    assert whole["error"]["detail"] == f"access_denied in call {denied['call_id']}"


async def test_a_call_that_policy_hides_is_no_unknown_tool_to_the_code() -> None:
    rego = """
    package remit.authz
    import rego.v1
    decision := {"allow": input.context.parent == ""}
    """
    path = Path(policy=engine(rego))
    body = (
        "try:\n    await ctx.api.get('/orders')\nexcept CallRefused as error:\n    return [error.reason, error.message]"
    )
    reason, message = await work(path, body)
    assert reason == "access_denied"
    assert "policy does not permit it" in message


async def test_a_tool_that_is_denied_runs_nothing() -> None:
    path = Path(policy=answering('{"allow": false, "reasons": [{"code": "no", "message": "no", "audience": "user"}]}'))
    with pytest.raises(Exception, match="no"):
        await work(path, "raise AssertionError")
    assert path.outcome["outcome"] == "denied"


async def test_what_policy_hides_of_an_answer_the_code_does_not_see() -> None:
    rego = """
    package remit.authz
    import rego.v1
    decision := {"allow": true, "obligations": [
        {"id": "o", "type": "redact_result", "properties": {"pointers": ["/tax_id"], "mode": "mask"}}
    ]} if input.context.parent != ""
    decision := {"allow": true} if input.context.parent == ""
    """
    path = Path(policy=engine(rego), answer=ok({"id": "O1", "tax_id": "X1"}))
    seen = await work(path, "return await ctx.api.get('/orders')")
    assert "X1" not in json.dumps(seen)
    assert seen["id"] == "O1"


# ── other tools ──────────────────────────────────────────────────────────────────────────


async def test_another_tool_is_called_as_an_agent_would_and_within_the_scopes() -> None:
    path = Path(answer=ok({"id": "O1"}))
    assert await work(path, "return await ctx.call('get_order', id='O1')") == {"id": "O1"}
    inner, whole = outcomes(path)
    intent = next(record for record in path.store.records if record["call_id"] == inner["call_id"])
    assert (intent["tool"]["name"], intent["parent"]["tool"]) == ("get_order", "work")
    assert whole["inner_calls"] == 1


OTHERS = [
    ("ctx.call('nothing')", "tool_unknown"),
    ("ctx.call('get_order', id=5)", "invalid_arguments"),
    ("ctx.call('admin_orders')", "invalid_arguments"),  # a scope that the tool does not have
    ("ctx.call('without_scopes')", "invalid_arguments"),  # which could be any
    ("ctx.call('work')", "invalid_arguments"),
]


@pytest.mark.parametrize(("call", "reason"), OTHERS, ids=[call for call, _ in OTHERS])
async def test_another_tool_that_cannot_be_called_is_refused(call: str, reason: str) -> None:
    path = Path()
    body = f"try:\n    await {call}\nexcept CallRefused as error:\n    return error.reason"
    assert await work(path, body) == reason
    assert path.sent == []


# ── bounds ───────────────────────────────────────────────────────────────────────────────


async def test_code_makes_no_more_calls_than_it_may() -> None:
    path = Path(answer=ok({}))
    with pytest.raises(CallRefused, match="the code may make 2 calls"):
        await work(path, "while True:\n    await ctx.api.get('/orders')", options=", max_calls=2")
    assert len(path.sent) == 2
    assert path.outcome["inner_calls"] == 2


async def test_calls_made_at_once_are_counted_too() -> None:
    path = Path(answer=ok({}))
    body = "return len([1 for got in await asyncio.gather(*(ctx.api.get('/orders') for _ in range(9)), return_exceptions=True) if got == {}])"
    assert await work(path, body, options=", max_calls=4") == 4


async def test_code_that_takes_too_long_is_ended_and_its_call_recorded() -> None:
    path = Path(hold=asyncio.Event())
    with pytest.raises(CodeTimeout) as ended:
        await work(path, "await ctx.api.get('/orders')", options=", timeout='50ms'")
    assert ended.value.code == "tool_timeout"
    inner, whole = outcomes(path)
    assert inner["outcome"] in {"cancelled", "failure"}  # whichever time was up first
    assert whole["error"]["code"] == "tool_timeout"


async def test_code_that_does_not_stop_when_told_makes_no_more_calls() -> None:
    path = Path(answer=ok({}))
    body = """
try:
    await asyncio.Event().wait()
except asyncio.CancelledError:
    try:
        await ctx.api.get('/orders')
    except CallRefused as error:
        print(error.reason)
    raise
"""
    with pytest.raises(CodeTimeout):
        await work(path, body, options=", timeout='30ms'")
    assert path.sent == []


async def test_what_the_code_leaves_running_makes_no_call_once_the_tool_has_ended() -> None:
    path = Path(answer=ok({}))
    body = """
async def later(whole):
    await asyncio.wait({whole})
    await ctx.api.get('/orders')
global left
left = asyncio.create_task(later(asyncio.current_task()))
return "done"
"""
    assert await work(path, body) == "done"
    [left] = [vars(module)["left"] for module in list(sys.modules.values()) if "left" in vars(module)]
    with pytest.raises(CallRefused, match="its tool has ended"):
        await left
    assert path.sent == []


async def test_an_answer_that_is_too_long_is_refused_whole() -> None:
    path = Path(answer=ok({"items": ["x" * 100] * 30}))
    text = code("return await ctx.api.get('/orders')", ", limits=Limits(max_response_bytes='1KiB')")
    serving(path, text)
    with pytest.raises(CallRefused) as refused:
        await path.call("work", {})
    assert refused.value.reason == "response_unusable"


async def test_a_result_is_cut_as_any_other() -> None:
    given = await work(Path(), "return {'items': ['x' * 100] * 50}", options=", max_bytes='1KiB'")
    assert given["truncated"] is True
    assert 1 < len(given["items"]) < 12


async def test_the_upstreams_limits_count_the_requests_and_the_tools_own_its_calls() -> None:
    head = """
from typing import Any
from remit.tools import *
desk = ToolSet("orders", base_url="https://orders.example/v1", limits=Limits(rate="3/min", concurrency=1),
               auth=TokenExchange(audience="orders", scopes=["orders:read"]))
"""
    text = code("await ctx.api.get('/orders')\nawait ctx.api.get('/orders')", ", limits=Limits(rate='2/min')")
    path = Path(answer=ok({}))
    path.catalog = Catalog.of(tools_of(text, head=head).values())
    await path.call("work", {})
    with pytest.raises(CallRefused, match="as often as it may"):
        await path.call("work", {})  # its second request is the fourth
    assert len(path.sent) == 3
    with pytest.raises(RateLimited):
        await path.call("work", {})


# ── paths, scopes, effects ───────────────────────────────────────────────────────────────

REFUSED = [
    "ctx.api.get('https://evil.example/x')",
    "ctx.api.get('//evil.example/x')",
    "ctx.api.get('/a/../b')",
    "ctx.api.get('/a/%2e%2e/b')",
    "ctx.api.get('/a?b=c')",
    "ctx.api.get('/a#b')",
    "ctx.api.get(f'/orders/{ctx.user}')",
    "ctx.api.get('/orders/' + 'O1')",
    "ctx.api.get('/orders/{id}')",
    "ctx.api.get('/orders/{id}', id='O1', other='x')",
    "ctx.api.get('/orders/{id}', id='..')",
    "ctx.api.get('/orders/{id}', id='')",
    "ctx.api.get('/orders/{id}', id=['a'])",
    "ctx.api.get('/orders/{id}', id={'a': 1})",
    "ctx.api.get('/orders/{id}', id=object())",
    "ctx.api.post('/orders', body=float('nan'))",
    "ctx.api.scoped('orders:admin').get('/orders')",
    "ctx.api.scoped('orders:read orders:admin').get('/orders')",
    "ctx.api.scoped().get('/orders')",
]


@pytest.mark.parametrize("call", REFUSED)
async def test_what_a_request_may_not_be_is_refused_and_nothing_is_sent(call: str) -> None:
    path = Path(answer=ok({}))
    body = f"try:\n    await {call}\nexcept CallRefused as error:\n    return error.reason"
    assert await work(path, body) in {"invalid_arguments", "policy_failed"}
    assert path.sent == []
    assert not any("alice" in str(record.get("tool")) for record in path.store.records)


async def test_a_tool_that_says_it_only_reads_can_do_nothing_else() -> None:
    path = Path(answer=ok({}))
    with pytest.raises(CallRefused, match="says that it only reads"):
        await work(path, "await ctx.api.get('/orders')\nawait ctx.api.post('/orders')", options=", read_only=True")
    assert len(path.sent) == 1


async def test_no_call_has_more_than_policy_left_of_the_tools_own() -> None:
    rego = """
    package remit.authz
    import rego.v1
    obligations := [
        {"id": "s", "type": "narrow_scopes", "properties": {"scopes": ["orders:read"]}},
        {"id": "l", "type": "limit_lifetime", "properties": {"seconds": 30}},
    ]
    decision := {"allow": true, "obligations": obligations} if input.context.parent == ""
    decision := {"allow": true} if input.context.parent != ""
    """
    path = Path(policy=engine(rego), answer=ok({}))
    body = """
await ctx.api.get('/orders')
await ctx.call('get_order', id='O1')
try:
    await ctx.api.scoped('refunds:write').post('/orders')
except CallRefused as error:
    return error.reason
"""
    assert await work(path, body) == "invalid_arguments"
    issued = [claims_of(token) for token in path.service.given if claims_of(token).get("aud") == "orders"]
    assert [claims["scope"] for claims in issued] == ["orders:read"] * 2
    assert all(claims["exp"] - claims["iat"] <= 30 for claims in issued)


async def test_a_scope_that_the_user_does_not_have_is_found_out_before_the_code_runs() -> None:
    path = serving(Path(), SETTLE)
    poor = DevelopmentUser("carol", "Carol", scopes=("orders:read",))
    with pytest.raises(ScopeInsufficient):
        await path.call("settle", {"order_id": "O1"}, token=path.token(poor))
    assert path.sent == []


# ── approvals ────────────────────────────────────────────────────────────────────────────


async def test_an_approval_that_only_a_call_inside_needs_is_refused_and_nobody_is_asked() -> None:
    rego = """
    package remit.authz
    import rego.v1
    decision := {"allow": true, "obligations": [
        {"id": "o", "type": "require_approval", "properties": {"approvers": ["user"]}}
    ]} if input.context.parent != ""
    decision := {"allow": true} if input.context.parent == ""
    """
    path = Path(policy=engine(rego), answer=ok({}))
    with pytest.raises(CallRefused, match="only the tool's own call can have") as refused:
        await work(path, "await ctx.api.get('/orders')")
    assert refused.value.reason == "policy_failed"
    assert path.sent == []


async def test_the_approval_of_the_tools_call_covers_the_calls_inside() -> None:
    path = Path(policy=answering(permit_with("require_approval", '{"approvers": ["user"]}')), answer=ok({}))
    serving(path, code("return [await ctx.api.get('/orders'), await ctx.api.get('/orders')]"))
    with pytest.raises(ApprovalRequired) as asked:
        await path.call("work", {})
    answer = ApprovalAnswer(asked.value.approval_id, accepted=True)
    assert (await path.call("work", {}, answer=answer)).result.data == [{}, {}]
    assert len(path.sent) == 2


# ── errors ───────────────────────────────────────────────────────────────────────────────


async def test_what_the_api_refuses_the_code_may_catch() -> None:
    path = Path(answer=httpx.Response(404, json={"tax_id": "X1"}))
    body = "try:\n    await ctx.api.get('/orders')\nexcept CallRefused as error:\n    return [error.reason, error.status, str(error)]"
    reason, status, said = await work(path, body)
    assert (reason, status) == ("downstream_refused", 404)
    assert "X1" not in said


@pytest.mark.usefixtures("_logging_as_before")
async def test_an_exception_in_the_code_tells_nothing_but_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    configure(style="json")
    path = serving(Path(), code("raise ValueError(secret)", parameters=", secret: str"))
    with pytest.raises(CodeFailed) as failed:
        await path.call("work", {"secret": "hunter2"})
    assert failed.value.code == "tool_failed"
    assert failed.value.message == "the code of work failed; what it had called before stands"
    assert failed.value.detail.startswith("ValueError in desk.py:")
    logged = capsys.readouterr().err
    assert "ValueError at" in logged
    assert "desk.py:" in logged
    assert "hunter2" not in str(path.store.records) + logged


FAILING = [
    "raise SystemExit(3)",
    "raise asyncio.CancelledError",
    "return object()",
    "return float('nan')",
    "return {}[1]",
]


@pytest.mark.parametrize("body", FAILING)
async def test_whatever_the_code_does_the_server_goes_on(body: str) -> None:
    path = Path()
    with pytest.raises(CodeFailed):
        await work(path, body)
    assert path.outcome["error"]["code"] == "tool_failed"
    assert (await path.call()).result.data == {"id": "O1"}


async def test_a_result_that_is_not_what_is_promised_is_refused() -> None:
    text = """
class Out(BaseModel):
    id: str
@desk.tool(scopes=["orders:read"], output=True)
async def work(ctx: Ctx) -> Out:
    "Does what the test says it does."
    return {"name": "x"}
"""
    path = serving(Path(), text)
    with pytest.raises((CodeFailed, ResponseUnusable)):
        await path.call("work", {})


async def test_arguments_are_checked_before_the_code_runs() -> None:
    text = """
class Item(BaseModel):
    count: Annotated[int, Field(ge=1)]
@desk.tool(scopes=["orders:read"])
async def work(ctx: Ctx, item: Item) -> int:
    "Does what the test says it does."
    return item.count + 1
"""
    path = serving(Path(), text)
    assert (await path.call("work", {"item": {"count": 2}})).result.data == 3
    with pytest.raises(ArgumentsInvalid):
        await path.call("work", {"item": {"count": 0}})


async def test_a_code_tool_cannot_be_rehearsed() -> None:
    path = serving(Path(), SETTLE)
    with pytest.raises(RequestUnusable, match="no request of its own"):
        await path.bridge.rehearse(ToolCall("test", path.token(), "settle", {"order_id": "O1"}))


# ── one user and another ─────────────────────────────────────────────────────────────────


async def test_calls_of_many_users_at_once_stay_apart() -> None:
    users = [DevelopmentUser(f"user-{number}", scopes=("orders:read", "refunds:write")) for number in range(10)]
    path = serving(Path(), SETTLE)
    results = await asyncio.gather(
        *(path.call("settle", {"order_id": user.sub}, token=path.token(user)) for user in users)
    )
    assert len(results) == 10
    assert len(path.sent) == 20
    for request in path.sent:
        claims = claims_of(request.headers["authorization"].removeprefix("Bearer "))
        assert f"/orders/{claims['sub']}" in str(request.url)
        if request.content:
            assert json.loads(request.content)["by"] == claims["sub"]
    by_call = {record["call_id"]: record for record in path.store.records if record["kind"] == Kind.INTENT}
    for record in by_call.values():
        if "parent" in record:
            whole = by_call[record["parent"]["call_id"]]
            assert whole["principal"]["subject"] == record["principal"]["subject"]
