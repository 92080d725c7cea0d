"""The path of a call: the real parts in their real order; only policy's text, the disk and the wire are the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from remit.audit.trail import Trail
from remit.bridge import Bridge, CallResult, Parts, ToolCall, Watch
from remit.catalog.compile import compile_text
from remit.catalog.tool import Catalog
from remit.credential import UnverifiedToken
from remit.downstream.client import ApiClient
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
from remit.exchange.exchanger import Exchanger
from remit.exchange.messages import IssuedToken, TokenExchangeRequest, TokenRequest
from remit.exchange.service import EmbeddedTokenService
from remit.identity.actor import ActorResolver, OwnToken
from remit.identity.subject import SubjectIdentifier
from remit.policy.rego import RegoEngine
from remit.sts.users import DevelopmentUser
from remit.tokens.jwks import LiveKeys
from remit.tokens.verifier import RFC9068_CLAIMS, Expectation, TokenVerifier, TrustedIssuer
from support.issuer import claims_of
from support.policy import answering, engine
from support.sts import ALICE, BRIDGE, ISSUER, World
from support.trail import MemoryStore

pytestmark = pytest.mark.anyio

TOOLS = """
version: 1
name: orders
upstream:
  baseUrl: https://orders.example/v1
  auth: {audience: orders, scopes: ["orders:read"], maxTtl: 120s}
tools:
  - name: get_order
    description: Gets one order by its id, whatever characters the id is made of.
    input: {type: object, required: [id], properties: {id: {type: string, maxLength: 20}}}
    request: {method: GET, path: "/orders/{id}"}
    response: {errors: {"404": No order has that id.}}
  - name: refund_order
    description: Refunds an order, in the name of the user who asks for it.
    input: {type: object, required: [id], properties: {id: {type: string}}}
    request: {method: POST, path: "/orders/{id}/refunds", body: {by: {from: user.sub}, via: {from: actor.sub}}}
    auth: {scopes: ["orders:read", "refunds:write"]}
  - name: admin_orders
    description: Needs a scope that the user's token does not hold.
    input: {type: object, properties: {}}
    request: {method: POST, path: /admin}
    auth: {scopes: ["orders:admin"]}
"""
FOR_PEOPLE = """
version: 1
name: people
upstream:
  baseUrl: https://orders.example/v1
  auth: {audience: orders, scopes: ["orders:read"], actor: forbidden}
tools:
  - name: for_people
    description: Is there for people only, and never for what acts for them.
    input: {type: object, properties: {}}
    request: {method: GET, path: /people}
"""

ORDER = {"id": "O1"}
PERMIT = '{"allow": true}'
DENY_SILENTLY = '{"allow": false, "reasons": [{"code": "secret", "message": "for admins"}]}'
DENY = '{"allow": false, "reasons": [{"code": "no", "message": "not today", "audience": "user"}]}'


def permit_with(kind: str, properties: str) -> str:
    return f'{{"allow": true, "obligations": [{{"id": "o", "type": "{kind}", "properties": {properties}}}]}}'


@dataclass
class Noted(MemoryStore):
    """A store that notes in ``order`` what is written when."""

    order: list[str] = field(default_factory=list)

    async def append(self, record: Mapping[str, Any]) -> None:
        await super().append(record)
        self.order.append(record["kind"])


@dataclass
class Service:
    """The embedded token service, noting what is asked of it and what it gives."""

    inner: EmbeddedTokenService
    order: list[str]
    asked: list[TokenExchangeRequest] = field(default_factory=list)
    given: list[str] = field(default_factory=list)

    @property
    def client_id(self) -> str:
        return self.inner.client_id

    async def issue(self, request: TokenRequest) -> IssuedToken:
        if isinstance(request, TokenExchangeRequest):
            self.order.append("exchange")
            self.asked.append(request)
        issued = await self.inner.issue(request)
        self.given.append(issued.access_token.reveal())
        return issued


@dataclass
class Path:
    """A bridge with everything around it that a test wants to see or change."""

    policy: RegoEngine = field(default_factory=lambda: answering(PERMIT))
    answer: httpx.Response | Exception | None = None
    refuse: frozenset[str] = frozenset()
    own_token: bool = True
    required: frozenset[str] = RFC9068_CLAIMS
    scopes_within_subject: bool = True
    order: list[str] = field(default_factory=list)
    sent: list[httpx.Request] = field(default_factory=list)
    world: World = field(default_factory=World)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event | None = None

    def __post_init__(self) -> None:
        clock = self.world.clock
        verifier = TokenVerifier([TrustedIssuer(ISSUER, frozenset({"ES256"}), LiveKeys(self.world.keys.jwks))])
        self.service = Service(self.world.embedded(), self.order)
        self.store = Noted(order=self.order, refuse=self.refuse)
        own = OwnToken(self._actor_token, verifier, Expectation(frozenset({ISSUER})), clock)
        files = [compile_text(text, "tools.yaml", {}) for text in (TOOLS, FOR_PEOPLE)]
        assert not any(file.problems for file in files)
        self.catalog = Catalog.of(tool for file in files for tool in file.tools)
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._api))
        self.bridge = Bridge(
            Parts(
                subjects=SubjectIdentifier(verifier, Expectation(frozenset({BRIDGE}), required=self.required), clock),
                actors=ActorResolver("agent-runner", own if self.own_token else None),
                tools=self,
                policy=self.policy,
                exchange=Exchanger(self.service, verifier, clock),
                apis=ApiClient(self.http),
                trail=Trail(self.store, clock),
                clock=clock,
                scopes_within_subject=self.scopes_within_subject,
            )
        )

    async def _actor_token(self) -> UnverifiedToken:
        return UnverifiedToken(await self.world.actor_token())

    async def _api(self, request: httpx.Request) -> httpx.Response:
        self.order.append("call")
        self.sent.append(request)
        self.arrived.set()
        if self.hold is not None:
            await self.hold.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or httpx.Response(200, json={"id": "O1"})

    def token(self, user: DevelopmentUser = ALICE) -> UnverifiedToken:
        return UnverifiedToken(self.world.user_token(user))

    async def call(
        self,
        name: str = "get_order",
        arguments: Mapping[str, Any] = ORDER,
        *,
        token: UnverifiedToken | None = None,
        watch: Watch | None = None,
    ) -> CallResult:
        made = ToolCall(door="test", token=token or self.token(), name=name, arguments=arguments)
        return await self.bridge.call(made, watch or Watch())

    @property
    def outcome(self) -> dict[str, Any]:
        """The last record, which must be an outcome."""
        record = self.store.records[-1]
        assert record["kind"] == "outcome"
        return record


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
    assert path.bridge.scopes_for("admin_orders") == ()
    assert Path().bridge.scopes_for("admin_orders") == ("orders:admin",)


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
decision := {"allow": SHOWN, "reasons": []} if input.phase == "tool_list"
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
