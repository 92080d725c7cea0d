"""The path of a call: the real parts in their real order; only policy's text, the disk and the wire are the test's."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httpx
import pytest

from remit.bridge import ToolCall, Watch
from remit.credential import UnverifiedToken
from remit.errors import (
    ActorUnfit,
    ArgumentsInvalid,
    AudienceMismatch,
    AuditError,
    DownstreamFailed,
    DownstreamRefused,
    DownstreamUnavailable,
    ExchangeRefused,
    InternalError,
    PolicyDenied,
    PolicyFailed,
    RemitError,
    RequestUnusable,
    ScopeInsufficient,
    TokenExpired,
    TokenMissing,
    ToolHidden,
    ToolUnknown,
)
from remit.tokens.verifier import RFC9068_CLAIMS
from support.issuer import claims_of
from support.path import DENY, DENY_SILENTLY, PERMIT, Path, permit_with
from support.policy import answering, engine

pytestmark = pytest.mark.anyio

# ── the order of things ──────────────────────────────────────────────────────────────────


async def test_the_intent_is_durable_before_anything_leaves_and_the_outcome_comes_last() -> None:
    path = Path()
    result = await path.call()
    assert path.order == ["intent", "exchange", "call", "outcome"]
    assert result.result.data == {"id": "O1"}
    intent, outcome = path.store.records
    assert intent["call_id"] == outcome["call_id"] == result.call_id
    assert intent["requested"]["audience"] == "orders"
    assert outcome["outcome"] == "success"


async def test_without_the_intent_nothing_is_exchanged_or_sent() -> None:
    path = Path(refuse=frozenset({"intent"}))
    with pytest.raises(AuditError) as caught:
        await path.call()
    assert path.order == ["outcome"]
    assert caught.value.call_id == path.outcome["call_id"]
    assert path.outcome["outcome"] == "failure"


async def test_a_result_whose_outcome_cannot_be_recorded_is_withheld() -> None:
    path = Path(refuse=frozenset({"outcome"}))
    with pytest.raises(AuditError, match="withheld") as caught:
        await path.call()
    assert path.order == ["intent", "exchange", "call"]
    assert caught.value.call_id


async def test_what_policy_denies_is_recorded_and_goes_no_further() -> None:
    path = Path(answering(DENY))
    with pytest.raises(PolicyDenied, match="not today"):
        await path.call()
    assert path.order == ["outcome"]
    assert path.outcome["outcome"] == "denied"
    assert path.outcome["decision"]["reasons"] == [{"code": "no", "message": "not today"}]


async def test_each_step_is_shown_to_whoever_watches_and_no_token_is() -> None:
    seen: list[tuple[str, str]] = []

    class Watching(Watch):
        def identified(self, *values: Any) -> None:
            seen.append(("identified", repr(values)))

        def decided(self, *values: Any) -> None:
            seen.append(("decided", repr(values)))

        def exchanged(self, *values: Any) -> None:
            seen.append(("exchanged", repr(values)))

        def calling(self, *values: Any) -> None:
            seen.append(("calling", repr(values)))

    path = Path()
    await path.call(watch=Watching())
    assert [step for step, _ in seen] == ["identified", "decided", "exchanged", "calling"]
    assert not any("eyJ" in text for _, text in seen)


# ── tokens ───────────────────────────────────────────────────────────────────────────────


async def test_the_api_gets_its_own_token_and_never_the_callers() -> None:
    path = Path()
    token = path.token()
    result = await path.call("refund_order", {"id": "O7"}, token=token)
    (sent,) = path.sent
    bearer = sent.headers["authorization"].removeprefix("Bearer ")
    assert token.reveal() not in str(sent.headers) + str(sent.url) + sent.content.decode()
    claims = claims_of(bearer)
    assert claims["sub"] == "alice"
    assert claims["act"]["sub"] == "agent-runner"
    assert claims["aud"] == "orders"
    assert claims["scope"].split() == ["orders:read", "refunds:write"]
    assert claims["exp"] - claims["iat"] <= 120
    assert sent.headers["x-request-id"] == result.call_id
    assert sent.content == b'{"by":"alice","via":"agent-runner"}'
    assert not any(given in repr(result) for given in path.service.given)
    assert path.outcome["exchange"]["jti"] == claims["jti"]


async def test_every_call_has_a_token_of_its_own() -> None:
    path = Path()
    token = path.token()
    for _ in range(3):
        await path.call(token=token)
    assert len({claims_of(sent.headers["authorization"])["jti"] for sent in path.sent}) == 3


async def test_a_missing_scope_is_named_before_anything_leaves() -> None:
    path = Path()
    with pytest.raises(ScopeInsufficient) as caught:
        await path.call("admin_orders", {})
    assert caught.value.scope == "orders:admin"
    assert path.order == ["outcome"]
    assert path.outcome["outcome"] == "denied"


async def test_a_service_that_does_not_tie_scopes_to_the_subject_is_asked() -> None:
    path = Path(scopes_within_subject=False)
    with pytest.raises(ExchangeRefused):  # this one does tie them, and says so itself
        await path.call("admin_orders", {})
    assert path.order == ["intent", "exchange", "outcome"]


# ── obligations ──────────────────────────────────────────────────────────────────────────


async def test_an_obligation_shortens_the_life_of_the_token() -> None:
    path = Path(answering(permit_with("limit_lifetime", '{"seconds": 30}')))
    await path.call()
    (asked,) = path.service.asked
    assert asked.requested_expires_in == 30
    claims = claims_of(path.sent[0].headers["authorization"])
    assert claims["exp"] - claims["iat"] == 30
    assert path.store.records[0]["requested"]["max_lifetime"] == 30
    assert path.store.records[0]["decision"]["obligations"] == ["limit_lifetime"]


async def test_an_obligation_never_lengthens_it() -> None:
    path = Path(answering(permit_with("limit_lifetime", '{"seconds": 3600}')))
    await path.call()
    assert path.service.asked[0].requested_expires_in == 120


async def test_an_obligation_narrows_the_scopes_of_the_token() -> None:
    path = Path(answering(permit_with("narrow_scopes", '{"scopes": ["orders:read", "else"]}')))
    await path.call("refund_order")
    assert path.service.asked[0].scopes == ("orders:read",)
    assert claims_of(path.sent[0].headers["authorization"])["scope"] == "orders:read"


@pytest.mark.parametrize(
    "answer",
    [
        permit_with("send_flowers", "{}"),
        permit_with("limit_lifetime", '{"seconds": 0}'),
        permit_with("narrow_scopes", '{"scopes": []}'),
        '{"allow": "yes"}',
        '{"allow": true, "reasons": 1}',
    ],
)
async def test_a_permit_that_is_not_understood_denies(answer: str) -> None:
    path = Path(answering(answer))
    with pytest.raises(PolicyFailed):
        await path.call()
    assert path.order == ["outcome"]
    assert path.outcome["outcome"] == "denied"


# ── hidden, denied, unknown ──────────────────────────────────────────────────────────────


async def test_without_a_reason_for_the_caller_a_denied_tool_is_not_there() -> None:
    hidden, unknown = Path(answering(DENY_SILENTLY)), Path()
    with pytest.raises(ToolHidden) as of_hidden:
        await hidden.call("get_order")
    with pytest.raises(ToolUnknown) as of_unknown:
        await unknown.call("get_parrot")
    assert of_hidden.value.message == of_unknown.value.message
    assert hidden.outcome["decision"]["reasons"] == [{"code": "secret", "message": "for admins"}]
    assert (hidden.outcome["outcome"], unknown.outcome["outcome"]) == ("denied", "failure")


NOT_LISTED = """
package remit.authz
import rego.v1
decision := {"allow": input.phase == "tool_call", "reasons": []}
"""


async def test_what_is_wrong_with_arguments_is_told_only_to_those_who_may_see_the_tool() -> None:
    for arguments in ({"id": 7}, {"id": "x" * 21}, {"id": ".."}):
        with pytest.raises((ArgumentsInvalid, RequestUnusable)):
            await Path().call("get_order", arguments)
        path = Path(engine(NOT_LISTED))
        with pytest.raises(ToolHidden, match="there is no such tool"):
            await path.call("get_order", arguments)
        assert path.order == ["outcome"]


async def test_arguments_that_policy_cannot_be_asked_about_do_not_show_a_hidden_tool() -> None:
    with pytest.raises(PolicyFailed):
        await Path().call("get_order", {"id": "x\0"})
    for policy in (engine(NOT_LISTED), answering(DENY_SILENTLY)):
        path = Path(policy)
        with pytest.raises(ToolHidden, match="there is no such tool"):
            await path.call("get_order", {"id": "x\0"})
        assert path.order == ["outcome"]


#: Fails, in the call's phase, on an id that is no number.
FAILS = """
package remit.authz
import rego.v1
default allow := false
allow if to_number(object.get(input.arguments, "id", "1")) > 0
decision := {"allow": allow, "reasons": []} if input.phase == "tool_call"
decision := {"allow": SHOWN, "reasons": []} if input.phase != "tool_call"
"""


async def test_a_policy_that_fails_on_arguments_does_not_show_a_hidden_tool() -> None:
    with pytest.raises(PolicyFailed):
        await Path(engine(FAILS.replace("SHOWN", "true"))).call("get_order", {"id": "zz"})
    hidden = Path(engine(FAILS.replace("SHOWN", "false")))
    with pytest.raises(ToolHidden, match="there is no such tool"):
        await hidden.call("get_order", {"id": "zz"})
    assert hidden.outcome["decision"]["detail"]
    assert hidden.order == ["outcome"]


async def test_only_tools_that_policy_shows_are_listed_by_name() -> None:
    by_name = engine(
        "package remit.authz\nimport rego.v1\n"
        'decision := {"allow": input.resource.id in {"refund_order", "get_order"}}\n'
    )
    path = Path(by_name)
    tools = await path.bridge.visible_tools("test", path.token())
    assert [tool.name for tool in tools] == ["get_order", "refund_order"]
    assert path.store.records == []


async def test_a_policy_that_gives_no_decision_shows_nothing() -> None:
    path = Path(answering('{"allow": 1}'))
    assert await path.bridge.visible_tools("test", path.token()) == ()


async def test_nobody_is_shown_no_tools() -> None:
    with pytest.raises(TokenMissing):
        await Path().bridge.visible_tools("test", None)


# ── actors ───────────────────────────────────────────────────────────────────────────────


async def test_without_a_token_of_its_own_the_runner_is_who_the_subjects_token_names() -> None:
    path = Path(own_token=False)
    await path.call()
    assert path.store.records[0]["actor"]["assurance"] == "registered"
    assert path.service.asked[0].actor_token is None


async def test_a_tool_for_people_only_is_refused_to_an_agent() -> None:
    path = Path()
    with pytest.raises(ActorUnfit):
        await path.call("for_people", {})
    assert path.order == ["outcome"]


async def test_a_tool_that_needs_an_agent_is_refused_where_nobody_vouches_for_one() -> None:
    path = Path(own_token=False, required=RFC9068_CLAIMS - {"client_id"})
    with pytest.raises(ActorUnfit, match="somebody vouches for"):
        await path.call(token=UnverifiedToken(path.world.forge(client_id=None)))
    assert path.order == ["outcome"]
    assert path.outcome["actor"]["assurance"] == "self_asserted"


# ── every ending ─────────────────────────────────────────────────────────────────────────


def asked_of(path: Path, kind: type[RemitError]) -> dict[str, Any]:
    """What to ask so that it ends so; the other endings come from how the path is made."""
    old = {"iat": path.world.now - 7200, "exp": path.world.now - 3600}
    asked: dict[type[RemitError], dict[str, Any]] = {
        TokenExpired: {"token": UnverifiedToken(path.world.forge(**old))},
        AudienceMismatch: {"token": UnverifiedToken(path.world.forge(aud="orders"))},
        ToolUnknown: {"name": "get_parrot"},
        ArgumentsInvalid: {"arguments": {"nonsense": 1}},
        ScopeInsufficient: {"name": "admin_orders", "arguments": {}},
    }
    return asked.get(kind, {})


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        (TokenExpired, {}),
        (AudienceMismatch, {}),
        (ToolUnknown, {}),
        (ArgumentsInvalid, {}),
        (ScopeInsufficient, {}),
        (PolicyDenied, {"policy": DENY}),
        (PolicyFailed, {"policy": '{"allow": 1}'}),
        (DownstreamRefused, {"answer": httpx.Response(404)}),
        (DownstreamFailed, {"answer": httpx.Response(503)}),
        (DownstreamUnavailable, {"answer": httpx.ConnectError("down")}),
        (AuditError, {"refuse": frozenset({"intent"})}),
        (InternalError, {"answer": LookupError("a secret thing")}),
    ],
)
async def test_every_error_carries_the_id_of_its_record(kind: type[RemitError], made: dict[str, Any]) -> None:
    policy = answering(made.get("policy", PERMIT))
    path = Path(policy, answer=made.get("answer"), refuse=made.get("refuse", frozenset()))
    with pytest.raises(kind) as caught:
        await path.call(**asked_of(path, kind))
    assert caught.value.call_id
    assert caught.value.call_id == path.outcome["call_id"]
    assert path.outcome["error"]["code"] == kind.code
    assert path.outcome["outcome"] in {"denied", "failure", "error"}


async def test_without_a_token_the_call_is_recorded_and_refused() -> None:
    path = Path()
    with pytest.raises(TokenMissing) as caught:
        await path.bridge.call(ToolCall(door="test", token=None, name="get_order", arguments={"id": "O1"}))
    assert caught.value.call_id == path.outcome["call_id"]
    assert path.outcome["outcome"] == "denied"


async def test_what_nobody_foresaw_says_nothing_of_itself() -> None:
    path = Path(answer=LookupError("a secret thing"))
    with pytest.raises(InternalError) as caught:
        await path.call()
    error = caught.value
    assert isinstance(error.__cause__, LookupError)
    assert "secret" not in f"{error.message} {error.detail} {error.hint} {path.store.records}"
    assert path.outcome["outcome"] == "error"


async def test_a_refusal_of_the_token_service_comes_after_the_intent_and_nothing_is_sent() -> None:
    path = Path()
    path.world.change(path.world.clients["agent-runner"], targets=())
    with pytest.raises(ExchangeRefused):
        await path.call()
    assert path.order == ["intent", "exchange", "outcome"]
    assert path.outcome["outcome"] == "failure"


async def test_a_cancelled_call_is_recorded_as_such() -> None:
    path = Path(hold=asyncio.Event())
    calling = asyncio.create_task(path.call())
    await path.arrived.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert path.order == ["intent", "exchange", "call", "outcome"]
    assert path.outcome["outcome"] == "cancelled"
    assert "error" not in path.outcome


async def test_no_argument_and_no_token_is_in_any_record() -> None:
    for path in (Path(), Path(answering(DENY)), Path(answer=httpx.Response(404, json={"message": "zq-value"}))):
        token = path.token()
        with suppress(RemitError):
            await path.call(arguments={"id": "zq-value"}, token=token)
        text = repr(path.store.records)
        assert "zq-value" not in text
        assert "eyJ" not in text
