"""A bridge whose parts are real; only policy's text, the disk's behaviour and the wire are the test's."""

from __future__ import annotations

import asyncio
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any

import httpx

from remit.approvals.approval import ApprovalAnswer
from remit.approvals.pairs import Pairs
from remit.approvals.store import ApprovalStore
from remit.audit.trail import Trail
from remit.bridge import Bridge, CallResult, Parts, ToolCall, Watch
from remit.catalog.compile import compile_text
from remit.catalog.tool import Catalog
from remit.credential import UnverifiedToken
from remit.downstream.client import ApiClient
from remit.downstream.limits import CallGate
from remit.exchange.exchanger import Exchanger
from remit.exchange.messages import IssuedToken, TokenExchangeRequest, TokenRequest
from remit.exchange.service import EmbeddedTokenService
from remit.identity.actor import ActorResolver, OwnToken
from remit.identity.subject import SubjectIdentifier
from remit.permission.panel import Panel, SecondOpinion
from remit.permission.permissions import Permissions
from remit.policy.engine import PolicyEngine
from remit.policy.inputs import InputKeeper
from remit.sts.users import DevelopmentUser
from remit.tokens.jwks import LiveKeys
from remit.tokens.verifier import RFC9068_CLAIMS, Expectation, TokenVerifier, TrustedIssuer
from support.policy import answering
from support.sts import ALICE, BRIDGE, ISSUER, World
from support.trail import MemoryStore

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
  - name: for_people_with_much_to_say
    description: Takes a text of any length, and does nothing with it but pass it on.
    input: {type: object, properties: {text: {type: string}}}
    request: {method: POST, path: /notes, body: {text: $text}}
  - name: without_scopes
    description: Names no scope, so that its token would hold whatever the token service gives.
    input: {type: object, properties: {}}
    request: {method: GET, path: /any}
    auth: {scopes: []}
  - name: takes_anything
    description: Takes any value at all, and puts it where the API gets it.
    input: {type: object, properties: {value: {}}}
    request: {method: POST, path: /values, body: {value: $value}}
  - name: quoting
    description: Tells in the API's own words why something is in use.
    input: {type: object, properties: {}}
    request: {method: GET, path: /quoting}
    response: {errors: {"409": "In use: {{message}}"}}
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

    policy: PolicyEngine = field(default_factory=lambda: answering(PERMIT))
    answer: httpx.Response | Exception | None = None
    answers: list[httpx.Response] = field(default_factory=list)
    refuse: frozenset[str] = frozenset()
    own_token: bool = True
    required: frozenset[str] = RFC9068_CLAIMS
    scopes_within_subject: bool = True
    asks_policy_itself: bool = True
    shadow: SecondOpinion | None = None
    files: tuple[str, ...] = ()
    own_targets: frozenset[str] = frozenset()
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
        files = [compile_text(text, "tools.yaml", {}) for text in (TOOLS, FOR_PEOPLE, *self.files)]
        assert not [str(problem) for file in files for problem in file.problems]
        self.catalog = Catalog.of(tool for file in files for tool in file.tools)
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._api))
        self.bridge = Bridge(
            Parts(
                subjects=SubjectIdentifier(verifier, Expectation(frozenset({BRIDGE}), required=self.required), clock),
                actors=ActorResolver("agent-runner", own if self.own_token else None),
                tools=self,
                permissions=Permissions(self._panel()),
                gate=CallGate(clock),
                exchange=Exchanger(self.service, verifier, clock, own_targets=self.own_targets),
                apis=ApiClient(self.http),
                trail=Trail(self.store, clock),
                asks_policy_itself=self.asks_policy_itself,
            )
        )

    def _panel(self) -> Panel:
        clock = self.world.clock
        # Removed with the object; a test needs no more of it than that it is empty at first.
        self._folder = tempfile.TemporaryDirectory(prefix="remit-test-", ignore_cleanup_errors=True)
        file = File(self._folder.name, "approvals.db")
        self.approvals, pairs = ApprovalStore(file, clock), Pairs(file, clock)
        weakref.finalize(self, _close, self.approvals, pairs, self._folder)
        keep = InputKeeper("none", None).keep
        return Panel(
            self.policy, self.approvals, pairs, clock, keep, b"k" * 32, self.shadow, self.scopes_within_subject
        )

    async def _actor_token(self) -> UnverifiedToken:
        return UnverifiedToken(await self.world.actor_token())

    async def _api(self, request: httpx.Request) -> httpx.Response:
        self.order.append("call")
        self.sent.append(request)
        self.arrived.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.answers:
            return self.answers.pop(0)
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
        answer: ApprovalAnswer | None = None,
    ) -> CallResult:
        made = ToolCall("test", token or self.token(), name, arguments, answer=answer)
        return await self.bridge.call(made, watch or Watch())

    @property
    def outcome(self) -> dict[str, Any]:
        """The last record, which must be an outcome."""
        record = self.store.records[-1]
        assert record["kind"] == "outcome"
        return record


def _close(approvals: ApprovalStore, pairs: Pairs, folder: tempfile.TemporaryDirectory[str]) -> None:
    approvals.close()
    pairs.close()
    folder.cleanup()
