"""Clients and users change while serving: what was written counts, what was written wrongly does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml

from remit.app.development import mint_for
from remit.app.wiring import App, running
from remit.demo.workspace import write_workspace
from remit.errors import ExchangeRefused, SettingsInvalid
from remit.exchange.messages import ClientCredentialsRequest, IssuedToken, Target, TokenExchangeRequest
from remit.exchange.service import EmbeddedTokenService
from remit.settings import load_settings
from support.issuer import claims_of
from support.policy import edit_tables

Change = Callable[[dict[str, Any]], object]


def change(folder: Path, edit: Change) -> None:
    """Put an edited file in the place of the settings, as an editor would."""
    file = folder / "remit.yaml"
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    edit(document)
    beside = folder / ".remit.yaml.new"
    beside.write_text(yaml.safe_dump(document), encoding="utf-8")
    beside.replace(file)


@asynccontextmanager
async def started(folder: Path, **options: Any) -> AsyncIterator[App]:
    write_workspace(folder)
    async with running(load_settings(folder / "remit.yaml"), **options) as app:
        yield app


async def exchange(app: App, audience: str = "orders-api") -> IssuedToken:
    """As the bridge's runner, through the service that was bound when it started."""
    service = app.bridge._parts.exchange.service
    assert isinstance(service, EmbeddedTokenService)
    return await service.issue(TokenExchangeRequest(mint_for(app, "alice"), Target(audience), ("orders:read",)))


def drop_orders(document: dict[str, Any]) -> None:
    document["sts"]["clients"]["agent-runner"]["targets"].pop(0)


@pytest.mark.anyio
async def test_the_runner_follows_the_rules_as_they_change(tmp_path: Path) -> None:
    async with started(tmp_path) as app:
        assert (await exchange(app)).expires_in == 120
        change(tmp_path, lambda new: new["sts"]["clients"]["agent-runner"]["targets"][0].update(max_lifetime=30))
        await app.rules.reload()
        assert (await exchange(app)).expires_in == 30
        change(tmp_path, drop_orders)
        await app.rules.reload()
        with pytest.raises(ExchangeRefused) as caught:
            await exchange(app)
        assert caught.value.error == "invalid_target"


@pytest.mark.anyio
async def test_users_change_too(tmp_path: Path) -> None:
    async with started(tmp_path) as app:
        with pytest.raises(SettingsInvalid):
            mint_for(app, "carol")
        change(tmp_path, lambda new: new["sts"]["users"].update(carol={"scopes": ["orders:read"]}))
        change(tmp_path, lambda new: new["sts"]["users"].pop("bob"))
        await app.rules.reload()
        assert claims_of(mint_for(app, "carol").reveal())["scope"] == "orders:read"
        with pytest.raises(SettingsInvalid):
            mint_for(app, "bob")


def no_yaml(folder: Path) -> None:
    (folder / "remit.yaml").write_text("version: [", encoding="utf-8")


def gone(folder: Path) -> None:
    (folder / "remit.yaml").unlink()


def unknown_setting(folder: Path) -> None:
    change(folder, lambda new: new["sts"]["clients"]["orders-api"].update(profil="workload"))


def lost_secret(folder: Path) -> None:
    change(folder, lambda new: new["sts"]["clients"]["orders-api"].update(secret={"file": "nowhere"}))


def no_runner(folder: Path) -> None:
    change(folder, lambda new: new["sts"]["clients"].pop("agent-runner"))


def another_secret_for_the_runner(folder: Path) -> None:
    change(
        folder, lambda new: new["sts"]["clients"]["agent-runner"].update(secret={"file": ".remit/secrets/orders-api"})
    )


@pytest.mark.anyio
@pytest.mark.parametrize(
    "breaking", [no_yaml, gone, unknown_setting, lost_secret, no_runner, another_secret_for_the_runner]
)
async def test_a_broken_file_leaves_the_rules_as_they_were_and_says_why(
    tmp_path: Path, breaking: Callable[[Path], None]
) -> None:
    async with started(tmp_path) as app:
        breaking(tmp_path)
        with structlog.testing.capture_logs() as logs:
            await app.rules.reload()
        assert [(entry["event"], entry["log_level"]) for entry in logs] == [("rules_not_reloaded", "error")]
        assert logs[0]["where"]
        assert logs[0]["problem"]
        assert (await exchange(app)).expires_in == 120
        assert claims_of(mint_for(app, "bob").reveal())["sub"] == "bob"


@pytest.mark.anyio
async def test_what_takes_a_restart_is_told(tmp_path: Path) -> None:
    async with started(tmp_path) as app:
        change(tmp_path, lambda new: new.update(listen="127.0.0.1:9"))
        with structlog.testing.capture_logs() as logs:
            await app.rules.reload()
        assert [entry["event"] for entry in logs] == ["settings_changed", "rules_reloaded"]
        assert app.settings.listen != "127.0.0.1:9"


@pytest.mark.anyio
async def test_another_agent_goes_on_under_the_new_rules(tmp_path: Path) -> None:
    async with started(tmp_path, agent="orders-api") as app:
        service = app.bridge._parts.exchange.service
        change(
            tmp_path,
            lambda new: new["sts"]["clients"]["orders-api"]["targets"].append(
                {"audience": "audit-api", "scopes": ["audit:write"], "direct": True}
            ),
        )
        edit_tables(tmp_path, lambda tables: tables["services"]["orders-api"]["audiences"].append("audit-api"))
        await app.rules.reload()
        assert await app.policies.live.reload()
        assert (await service.issue(ClientCredentialsRequest(Target("audit-api")))).scope == "audit:write"


def without_orders(document: dict[str, Any], seconds: int) -> None:
    document["sts"]["clients"].pop("orders-api", None)
    document["sts"]["max_lifetime"] = seconds


@pytest.mark.anyio
async def test_a_changed_file_is_noticed_and_a_touched_one_is_passed_over(tmp_path: Path) -> None:
    async with started(tmp_path) as app, app.watching():
        assert app.sts is not None
        with structlog.testing.capture_logs() as logs:
            (tmp_path / "remit.yaml").touch()
            (tmp_path / "notes.txt").write_text("something else")
            async with asyncio.timeout(10):
                seconds = 60
                while "orders-api" in app.sts.clients:  # again and again: nobody tells when the watch has begun
                    seconds += 1
                    change(tmp_path, partial(without_orders, seconds=seconds))
                    await asyncio.sleep(0.4)
        assert {entry["event"] for entry in logs} == {"rules_reloaded"}
