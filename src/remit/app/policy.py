"""Path: the settings of policy → the engine in force, its shadow, and the panel that the bridge asks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from remit.approvals.pairs import Pairs
from remit.approvals.store import ApprovalStore
from remit.audit.trail import Trail
from remit.clock import Clock
from remit.errors import SettingsInvalid
from remit.permission.panel import LISTS_LAST, Panel
from remit.policy.bundle import Bundle, load_policy
from remit.policy.engine import PolicyEngine
from remit.policy.inputs import InputKeeper
from remit.policy.live import LivePolicy, Load
from remit.policy.opa import OpaEngine, OpaPlace
from remit.policy.process import ProcessEngine
from remit.policy.shadow import Shadow
from remit.policy.signature import Signatures, VerificationKey
from remit.settings import Settings, read_secret

#: An OPA server takes another policy without telling anybody.
_OPA_LISTS_LAST: Final = 10.0


@dataclass(frozen=True, slots=True)
class Policies:
    """The policy in force and the one that decides silently, each replaced when its files change."""

    live: LivePolicy
    shadow: LivePolicy | None
    opinion: Shadow | None

    async def watch(self, settings: Settings, stop: asyncio.Event) -> None:
        """Reload what changes, until ``stop`` is set. What an OPA server decides by is that server's affair."""
        watched = []
        if settings.policy.engine == "embedded":
            watched.append(self.live.watch(settings.policy.path, stop))
        if self.shadow is not None and settings.policy.shadow is not None:
            watched.append(self.shadow.watch(settings.policy.shadow, stop))
        await asyncio.gather(*watched)


def for_one(settings: Settings) -> Settings:
    """The same settings for one caller at a time, who needs one policy process and none that waits to step in."""
    return settings.model_copy(update={"policy": settings.policy.model_copy(update={"workers": 1})})


async def open_policies(settings: Settings, clock: Clock, trail: Trail, stack: AsyncExitStack) -> Policies:
    """Start what decides. Raises ``PolicyInvalid`` for a policy that must not be used, ``SettingsInvalid``."""
    engine = await start_engine(settings, clock)
    live = LivePolicy(engine, _load(settings, settings.policy.path, clock))
    stack.push_async_callback(live.aclose)
    if settings.policy.shadow is None:
        return Policies(live, None, None)
    second = await _start_embedded(settings, load_bundle(settings, settings.policy.shadow), clock)
    shadow = LivePolicy(second, _load(settings, settings.policy.shadow, clock), "shadow")
    stack.push_async_callback(shadow.aclose)
    opinion = Shadow(shadow, trail.shadow)
    stack.push_async_callback(opinion.settled)
    return Policies(live, shadow, opinion)


def open_panel(
    settings: Settings, policies: Policies, approvals: ApprovalStore, clock: Clock, redaction_key: bytes
) -> tuple[Panel, Pairs]:
    """Everybody whom the bridge asks, and the pairs, which are to be closed."""
    pairs = Pairs(settings.approvals_file, clock)
    keeper = _keeper(settings)
    panel = Panel(
        policies.live,
        approvals,
        pairs,
        clock,
        keeper.keep,
        redaction_key,
        policies.opinion,
        settings.exchange.scopes_within_subject,
        lists_last=_OPA_LISTS_LAST if settings.policy.engine == "opa" else LISTS_LAST,
    )
    return panel, pairs


async def start_engine(settings: Settings, clock: Clock) -> PolicyEngine:
    """What the settings name, tried out. Raises ``PolicyInvalid``."""
    if settings.policy.engine == "embedded":
        return await _start_embedded(settings, load_bundle(settings, settings.policy.path), clock)
    engine = OpaEngine(_opa_place(settings), clock)
    try:
        await engine.check_ready()
    except BaseException:
        await engine.aclose()
        raise
    return engine


def load_bundle(settings: Settings, path: Path) -> Bundle:
    """The policy at ``path``, as the settings want it signed and adapted. Raises ``PolicyInvalid``."""
    return load_policy(path, signatures=_signatures(settings), adapter=settings.policy.adapter)


async def _start_embedded(settings: Settings, bundle: Bundle, clock: Clock) -> PolicyEngine:
    policy = settings.policy
    return await ProcessEngine.start(
        bundle,
        clock,
        deadline=policy.deadline,
        workers=policy.workers,
        spare=1 if policy.workers > 1 else 0,
        run_tests=policy.tests == "run",
    )


def _load(settings: Settings, path: Path, clock: Clock) -> Load:
    async def load(revision: str) -> PolicyEngine | None:
        bundle = await asyncio.to_thread(load_bundle, settings, path)
        return None if bundle.revision == revision else await _start_embedded(settings, bundle, clock)

    return load


def _signatures(settings: Settings) -> Signatures:
    configured = settings.policy.signatures
    keys: Mapping[str, Any] = {
        name: VerificationKey(read_secret(item.key, f"policy.signatures.keys.{name}.key"), item.algorithm)
        for name, item in configured.keys.items()
    }
    return Signatures(required=configured.is_required, scope=configured.scope, keys=keys)


def _opa_place(settings: Settings) -> OpaPlace:
    opa = settings.policy.opa
    if opa is None:
        raise SettingsInvalid("engine: opa needs opa.url or opa.socket", where="policy.opa")
    token = read_secret(opa.token, "policy.opa.token") if opa.token else None
    return OpaPlace(url=opa.url or "", socket=opa.socket, token=token, decision=opa.decision, timeout=opa.timeout)


def _keeper(settings: Settings) -> InputKeeper:
    ref = settings.policy.inputs_key
    key = read_secret(ref, "policy.inputs_key") if ref else None
    return InputKeeper(settings.policy.keep_inputs, key)
