"""Path: the demonstration: start the sample company on loopback, play the story, say what everybody saw."""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from remit.app.development import mint_for
from remit.app.serving import http_app, interrupted, listening, served
from remit.app.wiring import App, running
from remit.audit.store.reader import Call, open_reader
from remit.credential import Credential
from remit.demo.api import Journal
from remit.demo.chains import Chain, Chains
from remit.demo.orders import orders_app
from remit.demo.payments import payments_app
from remit.demo.people import sample_passwords
from remit.demo.script import STORY, Reply, Scene, ask
from remit.demo.stock import stock_app
from remit.demo.workspace import write_workspace
from remit.errors import SettingsInvalid
from remit.settings import Settings, load_settings, read_secret
from remit.web import http_client

#: A working day with the demo; what is short-lived are the tokens for the APIs.
_USER_TOKEN_SECONDS: Final = 8 * 3600
_USERS: Final = ("alice", "bob")
#: In the order of their ports.
_APIS: Final = ("orders", "payments", "stock")


@dataclass(frozen=True, slots=True)
class Options:
    """What `remit demo` was asked for. ``folder`` keeps the workspace; without it a temporary one is used."""

    once: bool = False
    ready_file: Path | None = None
    folder: Path | None = None
    port: int = 8700


@dataclass(frozen=True, slots=True)
class Played:
    """One scene with what came of it: what the agent was told, what the APIs got, what the auditor reads."""

    scene: Scene
    reply: Reply
    claims: dict[str, Any] | None
    downstream_claims: list[dict[str, Any]]
    record: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Whether everything is as it should be, the chain of each hop included."""
        expected = self.scene
        told = self.reply.is_error == (expected.outcome != "success")
        recorded = self.outcome == expected.outcome and expected.reason in self.reason
        if expected.outcome != "success":
            return told and recorded and self.claims is None
        claims = self.claims or {}
        named = claims.get("sub") == expected.user and claims.get("act", {}).get("sub") == self.actor
        approved = self.approval.get("approver", {}).get("sub", "") == (expected.user if expected.says_yes else "")
        nested = [hop.get("act", {}).get("act", {}).get("sub") for hop in self.downstream_claims]
        return told and recorded and named and approved and nested == [self.actor] * expected.hops

    @property
    def outcome(self) -> str:
        """How it ended by the trail; ``unnamed`` where the agent was told no audit id to look it up by."""
        return str(self.record.get("outcome", "unfinished")) if self.reply.audit_id else "unnamed"

    @property
    def actor(self) -> str:
        """The agent runner, as the trail has it."""
        return str(self.record.get("actor", {}).get("sub", ""))

    @property
    def approval(self) -> Mapping[str, Any]:
        """Who approved the call, by the trail; empty where nobody had to."""
        approval: Mapping[str, Any] = self.record.get("approval", {})
        return approval

    @property
    def reason(self) -> str:
        """Why policy decided as it did: codes and texts."""
        reasons = self.record.get("decision", {}).get("reasons", [])
        return "; ".join(f"{reason['code']}: {reason['message']}" for reason in reasons)

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "tool": self.scene.tool,
            "subject": self.record.get("principal", {}).get("subject", ""),
            "actor": self.actor,
            "outcome": self.outcome,
            "reason": self.reason,
            "audit_id": self.reply.audit_id,
            "approval": dict(self.approval) or None,
            "claims": self.claims,
            "downstream_claims": self.downstream_claims,
        }


@dataclass(frozen=True, slots=True)
class Demo:
    """The running company, and what has been played so far."""

    app: App
    workspace: Path
    urls: Mapping[str, str]
    tokens: Mapping[str, Credential] = field(repr=False)
    passwords: Mapping[str, Credential] = field(repr=False)
    journals: tuple[Journal, ...]
    played: list[Played] = field(default_factory=list)
    chains: list[Chain] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every scene went as it should and the trail verifies."""
        return all(each.ok for each in self.played) and bool(self.audit()["verified"])

    def audit(self) -> dict[str, Any]:
        """How many records there are, and whether the trail is whole."""
        with open_reader(self.app.settings.audit_file) as trail:
            report = trail.verify()
        return {"records": report.records, "verified": report.sound and not report.unfinished}

    def document(self) -> dict[str, Any]:
        """For programs. It holds the sample users' tokens and passwords: they are what a client connects with."""
        return {
            "endpoints": dict(self.urls),
            "tokens": {user: token.reveal() for user, token in self.tokens.items()},
            "passwords": {user: password.reveal() for user, password in self.passwords.items()},
            "workspace": str(self.workspace),
            "calls": [each.document() for each in self.played],
            "chains": [chain.document() for chain in self.chains],
            "audit": self.audit(),
        }


class Audience(Protocol):
    """Who is told the story while it is played."""

    def opened(self, demo: Demo) -> None:
        """Everything is up."""
        ...

    def saw(self, played: Played) -> None:
        """One scene is over."""
        ...

    def closed(self, demo: Demo) -> None:
        """The story is over."""
        ...

    def serving(self, demo: Demo) -> None:
        """It goes on serving."""
        ...


async def play(options: Options, audience: Audience) -> bool:
    """Play the story; True if every step was as it should be. Keeps serving until interrupted unless ``once``."""
    with _workspace(options) as (folder, sockets):
        async with _company(folder, sockets) as demo:
            audience.opened(demo)
            for scene in STORY:
                played = await _play(demo, scene)
                demo.played.append(played)
                audience.saw(played)
            if all(each.ok for each in demo.played):  # after a story gone wrong there may be no chain to follow
                demo.chains.extend(await _chains(demo))
            audience.closed(demo)
            if options.ready_file is not None:
                _write_whole(options.ready_file, json.dumps(demo.document(), indent=2))
            if not options.once:
                audience.serving(demo)
                await interrupted()
            demo.app.end_streams()
            return demo.ok


async def _play(demo: Demo, scene: Scene) -> Played:
    reply = await ask(demo.urls["mcp"], demo.tokens[scene.user], scene)
    if not reply.audit_id:
        return Played(scene, reply, None, [], {})
    received = [dict(entry.claims) for journal in demo.journals for entry in journal.of(reply.audit_id)]
    with open_reader(demo.app.settings.audit_file) as trail:
        call = next(iter(trail.calls(reply.audit_id)), Call(""))
    return Played(scene, reply, received[0] if received else None, received[1:], call.facts)


async def _chains(demo: Demo) -> list[Chain]:
    """Three hops in each profile: the refund's from Alice's sign-in to payments, and one of services alone."""
    settings = demo.app.settings
    http = http_client()
    try:
        chains = Chains(settings.issuer, partial(_secret_of, settings), demo.app.clock, http)
        refunds = [each for each in demo.played if each.claims and each.downstream_claims][:1]
        of_users = [
            await chains.of_user(
                demo.tokens[each.scene.user], settings.mcp_resource, [each.claims or {}, *each.downstream_claims]
            )
            for each in refunds
        ]
        return [*of_users, await chains.of_services()] if "api-gateway" in settings.sts.clients else of_users
    finally:
        await http.aclose()


# ── the company ──────────────────────────────────────────────────────────────────────────


@contextmanager
def _workspace(options: Options) -> Iterator[tuple[Path, list[socket.socket]]]:
    """A folder with settings, and the sockets they name: MCP and token service, orders, payments, stock.

    Settings that are there already are used as they are, and never written over.
    """
    with (
        tempfile.TemporaryDirectory(prefix="remit-demo-", ignore_cleanup_errors=True) as temporary,
        ExitStack() as stack,
    ):
        folder = (options.folder or Path(temporary)).absolute()
        if (folder / "remit.yaml").exists():
            addresses = _addresses(load_settings(folder / "remit.yaml"))
            yield folder, [stack.enter_context(listening(address)) for address in addresses]
            return
        sockets = [stack.enter_context(_listening_near(options.port + offset)) for offset in range(4)]
        mcp, orders, payments, stock = (each.getsockname()[1] for each in sockets)
        write_workspace(folder, ports=(mcp, orders, payments, stock))
        yield folder, sockets


def _addresses(settings: Settings) -> list[str]:
    """Where the settings of a workspace put the servers. One made before there was a stock API does without it."""
    orders, payments, stock = (settings.variables.get(name, "") for name in ("ORDERS_URL", "PAYMENTS_URL", "STOCK_URL"))
    if not (orders and payments):
        raise SettingsInvalid(
            "these settings do not say where the sample company's APIs are",
            where="variables",
            hint="set ORDERS_URL and PAYMENTS_URL, or choose an empty folder for --dir",
        )
    return [settings.listen, *(urlsplit(url).netloc for url in (orders, payments, stock) if url)]


@contextmanager
def _listening_near(port: int) -> Iterator[socket.socket]:
    """A listening socket on loopback at ``port``, or at a free one where that is taken."""
    with ExitStack() as stack:
        try:
            listener = stack.enter_context(listening(f"127.0.0.1:{port}"))
        except SettingsInvalid:
            listener = stack.enter_context(listening("127.0.0.1:0"))
        yield listener


@asynccontextmanager
async def _company(folder: Path, sockets: list[socket.socket]) -> AsyncIterator[Demo]:
    settings = load_settings(folder / "remit.yaml")
    urls = dict(zip(_APIS, (f"http://127.0.0.1:{each.getsockname()[1]}" for each in sockets[1:]), strict=False))
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(running(settings))
        payments = payments_app(issuer=settings.issuer, clock=app.clock)
        orders = orders_app(
            issuer=settings.issuer,
            clock=app.clock,
            client_secret=_secret_of(settings, "orders-api"),
            payments_url=urls["payments"],
        )
        stock = stock_app(issuer=settings.issuer, clock=app.clock)
        for asgi, listener in zip((http_app(app), orders, payments, stock), sockets, strict=False):
            await stack.enter_async_context(served(asgi, listener))
        await stack.enter_async_context(app.watching())
        yield Demo(
            app=app,
            workspace=folder,
            urls={"mcp": settings.mcp_resource, "issuer": settings.issuer, **urls},
            tokens={user: mint_for(app, user, seconds=_USER_TOKEN_SECONDS) for user in _USERS},
            passwords=sample_passwords(settings, _USERS),
            journals=(orders.state.journal, payments.state.journal),
        )


def _secret_of(settings: Settings, client: str) -> Credential:
    ref = settings.sts.clients[client].secret
    if ref is None:
        raise SettingsInvalid(f"{client} has no secret", where=f"sts.clients.{client}.secret")
    return read_secret(ref, f"sts.clients.{client}.secret")


def _write_whole(path: Path, text: str) -> None:
    """Write beside, then rename: whoever waits for the file never reads half of it. Readable by its owner alone."""
    beside = path.with_name(f".{path.name}.new")
    beside.touch(mode=0o600)
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
