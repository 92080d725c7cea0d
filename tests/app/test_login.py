"""Where the settings have somebody sign in, and whose login a session then speaks for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from remit.app.development import subject_token_source
from remit.app.login import is_answered, login_client, login_store, login_target, what_to_run
from remit.app.serving import issuer_served
from remit.app.wiring import running
from remit.demo.workspace import write_workspace
from remit.errors import SettingsInvalid, SignInRequired
from remit.identity.sources import no_token
from remit.login.tokens import LoginTokens
from remit.settings import Settings, load_settings
from support.company import edit_settings, free_port

IDP = {"issuer": "https://idp.example.com", "jwks_uri": "https://idp.example.com/jwks"}
OTHER = {"issuer": "https://other.example.com", "jwks_uri": "https://other.example.com/jwks"}
EMBEDDED = {"sts": {"enabled": True}, "sign_in": {"enabled": True}}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, None),
        (EMBEDDED, ("http://127.0.0.1:8700", "remit-login")),
        ({**EMBEDDED, "login": {"client_id": "mine"}}, ("http://127.0.0.1:8700", "mine")),
        ({**EMBEDDED, "identity": {"issuers": [IDP]}}, ("http://127.0.0.1:8700", "remit-login")),
        ({"identity": {"issuers": [IDP]}}, None),  # nobody knows `remit-login` there
        ({"identity": {"issuers": [IDP]}, "login": {"client_id": "c"}}, ("https://idp.example.com", "c")),
        ({"identity": {"issuers": [IDP, OTHER]}, "login": {"client_id": "c"}}, None),
        ({**EMBEDDED, "login": {"issuer": IDP["issuer"]}}, None),
        ({**EMBEDDED, "login": {"issuer": IDP["issuer"], "client_id": "c"}}, ("https://idp.example.com", "c")),
    ],
)
def test_who_is_asked_is_said_or_follows(settings: dict[str, Any], expected: tuple[str, str] | None) -> None:
    made = Settings(**settings)
    target = login_target(made)
    assert (target and (target.issuer, target.client_id)) == expected
    if target is None:
        with pytest.raises(SettingsInvalid):
            login_client(made)
    else:
        assert target.resource == "http://127.0.0.1:8700/mcp"


def test_a_secret_goes_to_the_issuer_it_was_made_for_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret", encoding="ascii")
    login = {"issuer": IDP["issuer"], "client_id": "c", "client_secret": {"file": file}}
    settings = Settings.model_validate({"login": login})
    assert login_client(settings).secret is not None
    assert login_client(settings, issuer=OTHER["issuer"]).secret is None
    assert login_client(settings, client_id="d").secret is None


def test_logins_are_kept_where_the_settings_say(tmp_path: Path) -> None:
    store = login_store(Settings.model_validate({"login": {"store": "file", "folder": tmp_path / "x"}}))
    assert store.targets() == ()


def test_without_a_file_there_is_none_to_name() -> None:
    assert what_to_run(Settings()) == "nobody is signed in: run `remit login`"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """One of the sample company, with people who sign in, which nobody serves."""
    write_workspace(tmp_path, ports=(free_port(), free_port(), free_port(), free_port()))
    login = {"store": "file", "folder": "logins"}
    edit_settings(tmp_path / "remit.yaml", lambda document: document.update(login=login, sign_in={"enabled": True}))
    monkeypatch.chdir(tmp_path)
    return load_settings()


def test_a_session_speaks_for_whoever_signed_in_where_nothing_else_is_said(workspace: Settings, tmp_path: Path) -> None:
    async def source_of(change: dict[str, Any], as_user: str | None = None) -> Any:
        async with running(workspace.model_copy(update=change)) as app:
            return subject_token_source(app, as_user)

    async def main() -> None:
        source = await source_of({})
        assert isinstance(source, LoginTokens)
        with pytest.raises(SignInRequired) as caught:
            await source()
        assert caught.value.message == "nobody is signed in: run `remit login`"
        assert not isinstance(await source_of({}, "alice"), LoginTokens)
        assert not isinstance(await source_of({"subject_token": "x"}), LoginTokens)
        assert not isinstance(await source_of({"subject_token_file": tmp_path / "t"}), LoginTokens)
        assert not isinstance(await source_of({"subject_token_command": ("x",)}), LoginTokens)
        off = workspace.login.model_copy(update={"enabled": False})
        assert await source_of({"login": off}) is no_token

    asyncio.run(main())


def test_an_embedded_issuer_that_nobody_serves_is_served_for_as_long_as_it_takes(workspace: Settings) -> None:
    async def main() -> None:
        issuer = workspace.issuer
        assert not await is_answered(workspace, issuer)
        async with issuer_served(workspace):
            assert await is_answered(workspace, issuer)
            async with issuer_served(workspace), httpx.AsyncClient(trust_env=False) as http:  # by whoever does already
                answer = await http.get(f"{issuer}/.well-known/oauth-authorization-server")
                assert answer.json()["issuer"] == issuer
        assert not await is_answered(workspace, issuer)

    asyncio.run(main())


def test_an_issuer_elsewhere_is_not_for_this_process_to_serve(workspace: Settings) -> None:
    async def main() -> None:
        assert await is_answered(workspace, "http://127.0.0.1:9")
        async with issuer_served(workspace, "https://idp.example.com"):
            assert not await is_answered(workspace, workspace.issuer)

    asyncio.run(main())
