"""Path: ``Settings`` → the wired parts: bridge, token service, catalog, policy, trail.

Every choice between two implementations is made here, once, so nothing further in asks which one it got.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import anyio
import structlog

from remit.app import registry
from remit.app.exchange_policy import ExchangePolicyOf
from remit.app.policy import Policies, for_one, open_panel, open_policies
from remit.app.rules import Rules
from remit.app.secrets import InstallationSecret
from remit.app.token_service import open_token_service, own_issuer
from remit.approvals.store import ApprovalStore
from remit.audit.store.probe import is_writable
from remit.audit.store.sqlite import SqliteStore
from remit.audit.trail import Trail
from remit.bridge import Bridge, Parts
from remit.catalog.loader import CatalogSource, LoadReport
from remit.clock import Clock, SystemClock
from remit.downstream.client import ApiClient
from remit.downstream.limits import CallGate
from remit.errors import DefinitionInvalid, SettingsInvalid, StateInvalid
from remit.exchange.actor_token import ActorTokens
from remit.exchange.exchanger import Exchanger
from remit.exchange.messages import Target
from remit.exchange.service import EmbeddedTokenService, RemoteTokenService, TokenEndpoint, TokenService
from remit.identity.actor import ActorResolver, CallerActs, OwnToken
from remit.identity.subject import ClaimNames, SubjectIdentifier
from remit.permission.permissions import Permissions
from remit.settings import Settings, environment
from remit.sts.grant import SecurityTokenService
from remit.sts.revocation import RevocationFile, RevocationList
from remit.tokens.introspection import IntrospectedTokens
from remit.tokens.issuers import AnyIssuer
from remit.tokens.jwks import JwksClient
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer, Verifier
from remit.web import HttpClient, http_client

log = structlog.get_logger("remit")

#: How often approvals that have expired are erased with all they hold.
_SWEEP_SECONDS: Final = 60.0
_First = TypeVar("_First")
_Second = TypeVar("_Second")
ToolsChanged = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class App:
    """The wired parts, for the doors and commands."""

    settings: Settings
    bridge: Bridge
    tools: CatalogSource
    policies: Policies
    approvals: ApprovalStore
    secret: InstallationSecret
    store: SqliteStore
    clock: Clock
    sts: SecurityTokenService | None
    rules: Rules
    revocations: RevocationList
    trail: Trail
    gateway: Bridge = field(kw_only=True)
    _tools_changed: list[ToolsChanged] = field(default_factory=list)
    _stopping: list[Callable[[], None]] = field(default_factory=list)

    @property
    def subject_issuers(self) -> tuple[str, ...]:
        """Who may issue tokens for the MCP door: the embedded token service first, where there is one."""
        external = tuple(issuer.issuer for issuer in self.settings.identity.issuers)
        return (self.sts.issuer, *external) if self.sts else external

    def on_tools_changed(self, tell: ToolsChanged) -> None:
        """Have ``tell`` called after every reload that changed the tools."""
        self._tools_changed.append(tell)

    def on_stopping(self, stop: Callable[[], None]) -> None:
        """Have ``stop`` called before the servers are told to end."""
        self._stopping.append(stop)

    def end_streams(self) -> None:
        """End what clients keep open, so that the servers need not wait for it."""
        for stop in self._stopping:
            stop()

    @asynccontextmanager
    async def watching(self, tell: ToolsChanged | None = None) -> AsyncIterator[None]:
        """Reload changed tools and rules while the block runs; a file that broke keeps what was in force."""
        if tell is not None:
            self.on_tools_changed(tell)
        # Told to stop rather than cancelled: a watching thread looks at the event, and a cancelled one waits for seconds.
        stop = asyncio.Event()
        watchers = asyncio.gather(
            _for_ever("tools", self.tools.watch(self._reloaded, stop=stop)),
            _for_ever("rules", self.rules.watch(stop)),
            _for_ever("policy", self.policies.watch(self.settings, stop)),
            _for_ever("approvals", _sweeping(self.approvals, stop)),
        )
        try:
            yield
        finally:
            stop.set()
            await watchers

    async def _reloaded(self, report: LoadReport) -> None:
        _log_problems(report)
        log.info("tools_reloaded", tools=len(report.catalog.tools), revision=report.catalog.revision[:12])
        for tell in self._tools_changed if report.is_other else ():
            await tell()

    async def trail_is_writable(self) -> bool:
        """Whether a record could be written now."""
        return await anyio.to_thread.run_sync(is_writable, self.settings.audit_file)


@asynccontextmanager
async def running(
    settings: Settings, *, agent: str = "", launched_by: str = "", clock: Clock | None = None, serving: bool = False
) -> AsyncIterator[App]:
    """The parts of ``settings``, open while the block runs. ``agent``: act as this client of ``sts.clients``.

    ``launched_by``: what the client that started this process is called. ``serving``: for many callers at once, who do
    not wait for each other's policy.

    Raises ``SetupError`` leaves. Everything that can be wrong with settings, tools, policy and keys shows here,
    before anything is served.
    """
    clock = clock or SystemClock()
    settings = registry.acting_as(settings, agent) if agent else settings
    _make_private(settings.state_dir)
    async with AsyncExitStack() as stack:
        http = http_client(total=settings.exchange.timeout)
        stack.push_async_callback(http.aclose)
        revocations = RevocationList(RevocationFile(settings.revocations_file), clock)
        stack.callback(revocations.close)
        asked = _introspected(settings, http)
        sts = open_token_service(settings, http, clock, revocations, asked)
        trusted = [*own_issuer(settings, sts), *_external_issuers(settings, http)]
        store = SqliteStore(settings.audit_file)
        stack.callback(store.close)
        trail = Trail(store, clock)
        apis = ApiClient()
        stack.push_async_callback(apis.aclose)
        verifier = AnyIssuer(TokenVerifier(trusted), asked) if asked else TokenVerifier(trusted)
        service = _exchange_service(settings, sts, http, clock)
        service_verifier = _service_verifier(settings, sts, http)
        tools, policies = await _at_once(
            asyncio.to_thread(load_tools, settings),
            open_policies(settings if serving else for_one(settings), clock, trail, stack),
        )
        if sts is not None:
            sts.policy = ExchangePolicyOf(policies.live, clock, _claim_names(settings))
        secret = InstallationSecret(settings.state_dir / "secret.key")
        approvals = ApprovalStore(settings.approvals_file, clock)
        stack.callback(approvals.close)
        panel, pairs = open_panel(settings, policies, approvals, clock, secret.key("redaction"))
        stack.callback(pairs.close)
        parts = Parts(
            subjects=_subjects(settings, verifier, clock, revocations, settings.mcp_audiences),
            actors=_actors(settings, service, service_verifier, clock, revocations, launched_by),
            tools=tools,
            permissions=Permissions(panel),
            gate=CallGate(clock),
            exchange=Exchanger(
                service,
                service_verifier,
                clock,
                declared=registry.declared(settings),
                own_clients=_kept(settings),
                own_targets=frozenset(settings.exchange.own_token_targets),
            ),
            apis=apis,
            trail=trail,
            asks_policy_itself=settings.exchange.service == "embedded",
        )
        bridge = Bridge(parts)
        gateway = bridge.identifying(_subjects(settings, verifier, clock, revocations, settings.gateway_audiences))
        rules = Rules(settings, sts)
        yield App(
            settings,
            bridge,
            tools,
            policies,
            approvals,
            secret,
            store,
            clock,
            sts,
            rules,
            revocations,
            trail,
            gateway=gateway,
        )


async def _at_once(first: Awaitable[_First], second: Awaitable[_Second]) -> tuple[_First, _Second]:
    """What both come to, once both have. Of two errors the first one's is raised."""
    one, other = await asyncio.gather(first, second, return_exceptions=True)
    if isinstance(one, BaseException):
        raise one
    if isinstance(other, BaseException):
        raise other
    return one, other


async def _sweeping(approvals: ApprovalStore, stop: asyncio.Event) -> None:
    """Until ``stop`` is set."""
    while not stop.is_set():
        await approvals.sweep()
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _SWEEP_SECONDS)


async def _for_ever(name: str, watcher: Awaitable[None]) -> None:
    """A watcher that fails ends alone: what it watched stays as it is, and the log says so."""
    try:
        await watcher
    except Exception:
        log.exception("watcher_failed", watcher=name)


# ── the parts ────────────────────────────────────────────────────────────────────────────


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateInvalid(
            f"the state directory cannot be made: {error.strerror}", where=str(folder), hint="set state_dir"
        ) from error


def _external_issuers(settings: Settings, http: HttpClient) -> list[TrustedIssuer]:
    return [
        TrustedIssuer(item.issuer, frozenset(item.algorithms), JwksClient(item.jwks_uri, client=http))
        for item in settings.identity.issuers
        if item.jwks_uri
    ]


def _introspected(settings: Settings, http: HttpClient) -> IntrospectedTokens | None:
    endpoint = registry.introspection(settings)
    return IntrospectedTokens(endpoint, client=http) if endpoint else None


def _exchange_service(
    settings: Settings, sts: SecurityTokenService | None, http: HttpClient, clock: Clock
) -> TokenService:
    if settings.exchange.service == "remote":
        endpoint = TokenEndpoint(
            issuer=settings.exchange.issuer or "",
            url=settings.exchange.token_endpoint or "",
            seconds=settings.exchange.timeout,
            issued_token_type_required=settings.exchange.expect.issued_token_type == "required",
        )
        return RemoteTokenService(endpoint, registry.client_authentication(settings), http, clock)
    if sts is None:
        raise SettingsInvalid(
            "exchange.service is embedded, but the embedded token service is switched off",
            where="exchange.service",
            hint="set sts.enabled: true, or exchange.service: remote",
        )
    client = registry.runner(settings)
    return EmbeddedTokenService(client.client_id, partial(sts.grant_in_process, client.client_id))


def _service_verifier(settings: Settings, sts: SecurityTokenService | None, http: HttpClient) -> TokenVerifier:
    """Trusts the token service that is asked, and nobody else."""
    if settings.exchange.service == "embedded":
        return TokenVerifier(own_issuer(settings, sts))
    keys = JwksClient(settings.exchange.jwks_uri or "", client=http)
    return TokenVerifier([TrustedIssuer(settings.exchange.issuer or "", frozenset(settings.exchange.algorithms), keys)])


def _subjects(
    settings: Settings,
    verifier: Verifier,
    clock: Clock,
    revocations: RevocationList,
    audiences: tuple[str, ...],
) -> SubjectIdentifier:
    expect = Expectation(frozenset(audiences), typ=frozenset(settings.identity.typ), leeway=settings.identity.leeway)
    own = settings.issuer if settings.sts.enabled else ""
    return SubjectIdentifier(verifier, expect, clock, _claim_names(settings), revocations.check, token_service=own)


def _claim_names(settings: Settings) -> dict[str, ClaimNames]:
    return {item.issuer: ClaimNames(**item.claims.model_dump()) for item in settings.identity.issuers}


def _kept(settings: Settings) -> frozenset[str] | None:
    """Only the embedded token service keeps the client as a link; another one is checked as ever."""
    return registry.own_clients(settings) if settings.exchange.service == "embedded" else None


def _actors(
    settings: Settings,
    service: TokenService,
    verifier: TokenVerifier,
    clock: Clock,
    revocations: RevocationList,
    launched_by: str,
) -> ActorResolver:
    own = registry.own_clients(settings)
    return ActorResolver(
        service.client_id,
        None if settings.agent.actor == "client" else _own_token(settings, service, verifier, clock),
        is_revoked=revocations.is_actor_revoked,
        caller_acts=None if own is None else CallerActs(own, launched_by),
    )


def _own_token(settings: Settings, service: TokenService, verifier: TokenVerifier, clock: Clock) -> OwnToken:
    issuer = settings.issuer if settings.exchange.service == "embedded" else settings.exchange.issuer or ""
    expect = registry.declared(settings).expectation(frozenset({issuer}), leeway=settings.identity.leeway)
    tokens = ActorTokens(service, Target(audience=issuer), clock)
    return OwnToken(tokens, verifier, expect, clock, renew=tokens.renew)


def load_tools(settings: Settings) -> CatalogSource:
    """The tools of the settings. A broken file is logged and its tools are missing; no usable file at all is an error."""
    source = CatalogSource(
        settings.tools,
        {**settings.variables, **environment()},
        settings.tools_lock,
        python=settings.python_tools,
        cache=settings.descriptions_dir,
    )
    _log_problems(source.report)
    if source.report.problems and not source.catalog.tools:
        first = source.report.problems[0]
        raise DefinitionInvalid(first.message, where=first.where, hint=first.hint)
    return source


def _log_problems(report: LoadReport) -> None:
    for problem in report.problems:
        log.error("tool_file_invalid", where=problem.where, problem=problem.message, hint=problem.hint)
    for warning in report.warnings:
        log.warning("tool_not_locked", where=warning.where, problem=warning.message, hint=warning.hint)
    for file in report.passed_over:
        log.warning("python_tools_off", where=file.where, problem=file.message, hint=file.hint)
