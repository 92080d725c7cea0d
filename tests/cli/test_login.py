"""`remit login`, `remit logout` and `remit whoami`, against an authorization server on a real port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from support.command import environment, remit_command
from support.login_server import CLIENT, LoginServer
from support.servers import Listener, serving_in_thread
from support.terminal import Done, Terminal


@dataclass
class Place:
    """A folder whose settings name the server, and a browser that follows what it is shown."""

    terminal: Terminal
    server: LoginServer
    opened: list[str]

    @property
    def logins(self) -> Path:
        return self.terminal.cwd / "logins"

    def __call__(self, *arguments: object, **environment: str) -> Done:
        return self.terminal(*arguments, **environment)

    def tokens(self) -> set[str]:
        """Every secret that is kept here."""
        texts = [json.loads(path.read_text()) for path in self.logins.glob("*.*") if path.suffix != ".lock"]
        return {text[name] for text in texts for name in ("access_token", "refresh_token") if text.get(name)}


def write_settings(folder: Path, **login: Any) -> None:
    document = {"version": 1, "login": {"store": "file", "folder": "logins", **login}}
    (folder / "remit.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")


@pytest.fixture
def place(remit: Terminal, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    listener, server, opened = Listener(), LoginServer(), list[str]()
    server.issuer = listener.url

    def open_browser(url: str) -> bool:
        opened.append(url)
        httpx.get(url, follow_redirects=True, trust_env=False)
        return True

    monkeypatch.setattr("webbrowser.open", open_browser)
    write_settings(remit.cwd, issuer=server.issuer, client_id=CLIENT, scopes=["orders:read"])
    with serving_in_thread(server.app, listener):
        yield Place(remit, server, opened)


def test_somebody_signs_in_is_told_who_they_are_and_signs_out(place: Place) -> None:
    done = place("login")
    assert (done.code, done.out) == (0, "")
    assert "signed in as alice" in done.err
    assert place.opened[0] in done.err
    assert len(place.tokens()) == 2
    told = place("whoami", "--json")
    assert told.document == {
        "account": "alice",
        "issuer": place.server.issuer,
        "client": "tester",
        "resource": "http://127.0.0.1:8700/mcp",
        "scopes": ["orders:read"],
        "expires_at": told.document["expires_at"],
        "renewable": True,
        "kept_in": told.document["kept_in"],
    }
    shown = place("whoami")
    assert "alice" in shown.out
    assert "then renewed by itself" in shown.out
    for token in place.tokens():
        assert token not in done.err + told.out + shown.out
    assert "signed out" in place("logout").err
    assert place.tokens() == set()
    assert [form["token_type_hint"] for form in place.server.revoked] == ["refresh_token"]


def test_nobody_is_nobody(place: Place) -> None:
    done = place("whoami")
    assert done.code == 4
    assert "nobody is signed in: run `remit login` (sign_in_required)" in done.err
    assert "nobody is signed in" in place("logout").err
    assert place("logout", "--all").code == 0


def test_whoever_stands_elsewhere_is_told_which_settings_to_name(place: Place, tmp_path: Path) -> None:
    config = place.terminal.cwd / "remit.yaml"
    (tmp_path / "elsewhere").mkdir()
    place.terminal.cwd = tmp_path / "elsewhere"
    assert f'run `remit -c "{config}" login`' in place("-c", config, "whoami").err


def test_a_device_code_is_shown_and_waited_for(place: Place) -> None:
    done = place("login", "--device", "--scope", "orders:write", "--scope", "x")
    assert done.code == 0
    assert "WDJB-MJHT" in done.err
    assert f"{place.server.issuer}/device" in done.err
    assert place.opened == []
    assert place.server.forms[0]["scope"] == "orders:write x"
    assert place("whoami", "--json").document["scopes"] == ["orders:write", "x"]


@contextmanager
def waiting(place: Place) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that waits for its person, and the address it has printed."""
    with subprocess.Popen(
        remit_command("login", "--no-browser"),
        cwd=place.terminal.cwd,
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        encoding="utf-8",
    ) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        yield process, next(line.strip() for line in lines if line.strip().startswith(place.server.issuer))


def test_without_a_browser_the_address_is_only_printed(place: Place) -> None:
    """Another program opens it."""
    with waiting(place) as (process, url):
        assert httpx.get(url, follow_redirects=True, trust_env=False).status_code == 200
        assert process.stderr is not None
        assert "signed in as alice" in process.stderr.read()
        assert process.wait(20) == 0


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_a_person_who_gives_up_leaves_nothing_behind(place: Place) -> None:
    with waiting(place) as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
        assert process.wait(20) == 130
    assert not list(place.logins.glob("*"))


def test_a_refusal_is_said_and_changes_nothing(place: Place) -> None:
    place("login")
    before = place.tokens()
    place.server.redirect = {"code": None, "error": "access_denied", "error_description": "\x1b[2Jno"}
    done = place("login")
    assert done.code == 4
    assert "access_denied" in done.err
    assert "\x1b" not in done.err
    assert place.tokens() == before


def test_another_issuer_and_client_can_be_named_and_are_said_not_to_be_in_use(place: Place) -> None:
    write_settings(place.terminal.cwd)
    done = place("login", "--issuer", place.server.issuer, "--client", "other")
    assert done.code == 0
    assert "these settings do not use that login" in done.err
    assert place.server.authorized[0]["client_id"] == "other"
    assert place("whoami").code == 4
    assert "signed out" in place("logout", "--all").err
    assert place.tokens() == set()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the settings do not say where to sign in"),
        (("--issuer", "https://idp.example.com"), "no client is known at https://idp.example.com"),
    ],
)
def test_settings_that_do_not_suffice_say_what_is_missing(
    place: Place, arguments: tuple[str, ...], message: str
) -> None:
    write_settings(place.terminal.cwd)
    done = place("login", *arguments)
    assert done.code == 2
    assert message in done.err


def test_a_login_that_cannot_be_revoked_is_forgotten_and_that_is_said(place: Place) -> None:
    place("login")
    place.server.metadata = {"issuer": "https://other.example.com"}
    done = place("logout")
    assert done.code == 0
    assert "could not be revoked" in done.err
    assert place.tokens() == set()


def test_an_issuer_out_of_reach_is_said(place: Place) -> None:
    done = place("login", REMIT_LOGIN__ISSUER="http://127.0.0.1:9")
    assert done.code == 4
    assert "sign_in_unavailable" in done.err
