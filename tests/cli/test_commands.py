"""Every other command, as a terminal sees it: what it prints, where, and with which code it ends."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from remit import __version__
from support.command import environment, remit_command
from support.command import remit as remit_in_a_process
from support.issuer import FakeIssuer, claims_of
from support.terminal import Terminal


@pytest.fixture
def workspace(remit: Terminal) -> Path:
    """A fresh workspace in the terminal's folder."""
    assert remit("init").code == 0
    return remit.cwd


# ── remit ────────────────────────────────────────────────────────────────────────────────


def test_help_is_there_at_once(tmp_path: Path) -> None:
    """In time of its own: what others on the machine take is not counted, where the system tells it."""
    took = []
    for _ in range(3):
        before, started = os.times(), time.perf_counter()
        done = remit_in_a_process("--help", cwd=tmp_path)
        waited, after = time.perf_counter() - started, os.times()
        own = after.children_user + after.children_system - before.children_user - before.children_system
        took.append(own or waited)
        assert done.returncode == 0
    print(f"remit --help: {min(took):.3f} s")
    assert min(took) < 0.4


def test_help_loads_neither_the_protocol_nor_the_models() -> None:
    """What makes it slow is imports, and those can be counted on any machine."""
    script = (
        "import sys; sys.argv = ['remit', '--help']\n"
        "from remit.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'mcp', 'pydantic', 'httpx', 'aiohttp', 'uvicorn', 'jwt', 'cryptography', 'regorus', 'structlog'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_every_command_has_its_help(remit: Terminal) -> None:
    for command in (
        ("demo",),
        ("init",),
        ("serve",),
        ("call",),
        ("check",),
        ("token", "inspect"),
        ("token", "mint"),
        ("audit", "tail"),
        ("audit", "show"),
        ("audit", "verify"),
        ("config", "show"),
    ):
        done = remit(*command, "--help")
        assert done.code == 0
        assert "Usage" in done.out


def test_the_version_is_said(remit: Terminal) -> None:
    assert remit("--version").out == f"remit {__version__}\n"


@pytest.mark.parametrize("arguments", [("dance",), ("call",), ("serve", "--port", "1"), ("audit", "show")])
def test_wrong_usage_exits_with_2(remit: Terminal, arguments: tuple[str, ...]) -> None:
    done = remit(*arguments)
    assert done.code == 2
    assert "Usage" in done.err
    assert done.out == ""


# ── init ─────────────────────────────────────────────────────────────────────────────────


def test_init_writes_a_workspace_that_checks_as_it_stands(remit: Terminal) -> None:
    done = remit("init", "shop", "--json")
    assert done.code == 0
    files = {"remit.yaml", "tools/orders.yaml", "tools/payments.yaml", "policy/data.yaml", "policy/sample_test.rego"}
    assert files <= set(done.document["files"])
    assert all((remit.cwd / "shop" / file).is_file() for file in done.document["files"])
    secrets = list((remit.cwd / "shop" / ".remit" / "secrets").iterdir())
    assert len({secret.read_text(encoding="ascii") for secret in secrets}) == len(secrets) == 5
    if os.name != "nt":
        assert all(secret.stat().st_mode & 0o077 == 0 for secret in secrets)
    assert not any(secret.read_text(encoding="ascii") in done.out for secret in secrets)
    checked = remit("-c", "shop/remit.yaml", "check")
    assert checked.code == 0
    assert "5 tools ok" in checked.out


def test_init_twice_is_an_error_and_loses_nothing(remit: Terminal, workspace: Path) -> None:
    (workspace / "remit.yaml").write_text("# mine\n", encoding="utf-8")
    (workspace / "tools" / "orders.yaml").unlink()
    done = remit("init")
    assert done.code == 2
    assert "is there already" in done.err
    assert "--force" in done.err
    assert (workspace / "remit.yaml").read_text(encoding="utf-8") == "# mine\n"
    assert not (workspace / "tools" / "orders.yaml").exists()


def test_init_by_force_overwrites_files_and_keeps_secrets(remit: Terminal, workspace: Path) -> None:
    secrets = {path: path.read_bytes() for path in (workspace / ".remit" / "secrets").iterdir()}
    (workspace / "remit.yaml").write_text("# mine\n", encoding="utf-8")
    assert remit("init", "--force").code == 0
    assert "version: 1" in (workspace / "remit.yaml").read_text(encoding="utf-8")
    assert {path: path.read_bytes() for path in secrets} == secrets
    assert remit("check").code == 0


# ── check ────────────────────────────────────────────────────────────────────────────────


def test_check_finds_nothing_wrong_and_writes_nothing(remit: Terminal, workspace: Path) -> None:
    before = sorted(workspace.rglob("*"))
    done = remit("check", "--json")
    assert done.code == 0
    assert done.document["ok"] is True
    assert done.document["problems"] == []
    assert sorted(workspace.rglob("*")) == before


def break_everything(workspace: Path) -> None:
    settings = (workspace / "remit.yaml").read_text(encoding="utf-8")
    (workspace / "remit.yaml").write_text(
        settings.replace("state_dir:", "state_dri:").replace("max_lifetime: 1m", "max_lifetime: 1 month"),
        encoding="utf-8",
    )
    orders = (workspace / "tools" / "orders.yaml").read_text(encoding="utf-8")
    (workspace / "tools" / "orders.yaml").write_text(
        orders.replace("  timeout: 10s", "  timeout: 10 parsecs").replace("method: POST", "metod: POST"),
        encoding="utf-8",
    )
    (workspace / "tools" / "payments.yaml").write_text("version: 1\nname: [\n", encoding="utf-8")
    (workspace / "policy" / "rules.rego").write_text(
        "package remit.rules\nimport rego.v1\ndeny := (\n", encoding="utf-8"
    )


def test_check_lists_all_that_is_wrong_at_once_and_where(remit: Terminal, workspace: Path) -> None:
    break_everything(workspace)
    done = remit("check", "--json")
    assert done.code == 1
    assert done.document["ok"] is False
    found = [(problem["where"], problem["message"]) for problem in done.document["problems"]]
    for file, words in {
        "remit.yaml": "state_dri",
        "remit.yaml:": "max_lifetime",
        "orders.yaml": "timeout",
        "orders.yaml:": "metod",
        "payments.yaml": "",
        "rules.rego": "policy",
    }.items():
        assert any(file.rstrip(":") in where and words in message for where, message in found), (file, words, found)
    for where, _ in found:
        line, column = where.split(":")[-2:]
        assert int(line) > 0 < int(column), where
    told = remit("check")
    assert told.code == 1
    assert told.out == ""
    assert "did you mean state_dir?" in told.err
    assert all(where.rpartition(os.sep)[2] in told.err for where, _ in found)


def test_check_finds_a_secret_that_is_missing_and_one_that_differs(remit: Terminal, workspace: Path) -> None:
    (workspace / ".remit" / "secrets" / "orders-api").unlink()
    done = remit("check", "--json")
    assert done.code == 1
    (problem,) = done.document["problems"]
    assert problem["where"] == "sts.clients.orders-api.secret"


# ── settings that cannot be used ─────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "listen: [",
        "listen: nowhere",
        "- a\n- list",
        "subject_token: eyJ.a.b",
        "\x00",
        "version: 99",
        "tools: {a: b}",
        "sts: {clients: {a: {secret: in-the-open}}}",
        "&a [*a]",
    ],
)
@pytest.mark.parametrize("command", [("config", "show"), ("call", "x"), ("serve", "--stdio"), ("audit", "tail")])
def test_a_bad_settings_file_exits_with_2(remit: Terminal, text: str, command: tuple[str, ...]) -> None:
    (remit.cwd / "remit.yaml").write_text(text, encoding="utf-8")
    done = remit(*command)
    assert done.code == 2
    assert done.out == ""
    assert "settings_invalid" in done.err
    assert "remit.yaml" in done.err
    assert "in-the-open" not in done.err
    assert "eyJ" not in done.err


def test_a_settings_file_that_is_not_there_exits_with_2(remit: Terminal) -> None:
    done = remit("-c", "nowhere.yaml", "config", "show")
    assert done.code == 2
    assert "nowhere.yaml" in done.err


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:99999", "127.0.0.1", "256.0.0.1:1"])
def test_an_address_that_cannot_be_listened_on_exits_with_2(remit: Terminal, workspace: Path, address: str) -> None:
    done = remit("serve", "--http", address)
    assert done.code == 2
    assert address in done.err


def test_tools_of_which_none_can_be_used_are_not_served(remit: Terminal, workspace: Path) -> None:
    for file in (workspace / "tools").iterdir():
        file.write_text("version: [\n", encoding="utf-8")
    done = remit("serve", "--stdio", "--as", "alice")
    assert done.code == 2
    assert "yaml:" in done.err


def test_policy_that_cannot_be_used_is_not_served(remit: Terminal, workspace: Path) -> None:
    (workspace / "policy" / "authz.rego").write_text("package remit.authz\nallow := (\n", encoding="utf-8")
    done = remit("serve", "--stdio", "--as", "alice")
    assert done.code == 2
    assert "policy_invalid" in done.err


# ── config ───────────────────────────────────────────────────────────────────────────────


def test_config_shows_the_settings_in_force_and_no_secret(remit: Terminal, workspace: Path) -> None:
    secrets = [path.read_text(encoding="ascii") for path in (workspace / ".remit" / "secrets").iterdir()]
    done = remit("config", "show", "--effective", REMIT_SUBJECT_TOKEN="eyJ.secret.token", REMIT_LISTEN="127.0.0.1:9999")
    assert done.code == 0
    shown = yaml.safe_load(done.out)
    assert shown["listen"] == "127.0.0.1:9999"
    assert shown["exchange"]["timeout"] == 5
    assert shown["agent"]["client_secret"]["file"].endswith("agent-runner")
    assert shown["subject_token"] == "********"
    assert not any(secret in done.out for secret in [*secrets, "eyJ"])
    assert remit("config", "show", "--json").document["version"] == 1


# ── serve ────────────────────────────────────────────────────────────────────────────────


def test_a_stdio_session_nobody_signed_in_to_is_told_so(workspace: Path) -> None:
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    messages = [
        {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
    ]
    with subprocess.Popen(
        remit_command("serve", "--stdio"),
        cwd=workspace,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for message in messages:
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        lines = [process.stdout.readline(), process.stdout.readline()]
        rest, err = process.communicate(timeout=20)
    assert process.returncode == 0
    answers = {answer["id"]: answer for answer in map(json.loads, [*lines, *rest.splitlines()])}
    assert answers[1]["error"]["data"]["error"]["code"] == "sign_in_required"
    assert b"Traceback" not in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--stdio", "--http", "127.0.0.1:0"), "exclude each other"),
        (("--as", "alice"), "goes with --stdio"),
        (("--stdio", "--as", "mallory"), 'no development user "mallory"'),
    ],
)
def test_options_of_serve_that_do_not_go_together(
    remit: Terminal, workspace: Path, options: tuple[str, ...], words: str
) -> None:
    done = remit("serve", *options)
    assert done.code == 2
    assert words in done.err
    assert done.out == ""


# ── token ────────────────────────────────────────────────────────────────────────────────


def test_a_minted_token_is_for_this_server_and_says_who(remit: Terminal, workspace: Path) -> None:
    done = remit("token", "mint", "alice", "--hours", "2")
    assert done.code == 0
    claims = claims_of(done.out.strip())
    assert claims["sub"] == "alice"
    assert claims["aud"] == "http://127.0.0.1:8700/mcp"
    assert claims["exp"] - claims["iat"] == 7200
    assert remit("token", "mint", "mallory").code == 2


def test_a_token_is_looked_into_without_being_repeated(remit: Terminal) -> None:
    token = FakeIssuer().mint(act={"sub": "orders-api", "act": {"sub": "agent-runner"}})
    for arguments in (("token", "inspect"), ("token", "inspect", "-"), ("token", "inspect", "--json")):
        done = remit(*arguments, stdin=f"{token}\n")
        assert done.code == 0
        assert "alice" in done.out
        assert "orders-api" in done.out
        assert token.rpartition(".")[2] not in done.out
    assert done.document["verified"] is False
    assert done.document["claims"]["act"]["act"]["sub"] == "agent-runner"


@pytest.mark.parametrize("text", ["", "no token", "a.b.c", "eyJ.eyJ.", "\x00\x1b[31m", "x" * 100_000])
def test_what_is_no_token_is_looked_into_all_the_same(remit: Terminal, text: str) -> None:
    done = remit("token", "inspect", stdin=text)
    assert done.code == 0
    assert "\x1b" not in done.out + done.err


# ── audit ────────────────────────────────────────────────────────────────────────────────


def test_the_tail_tells_calls_in_sentences_and_as_json(at_shop: Terminal) -> None:
    done = at_shop("audit", "tail")
    assert done.code == 0
    for words in ("alice", "bob", "agent-runner", "get_order", "refund_order", "success", "denied"):
        assert words in done.out
    lines = at_shop("audit", "tail", "-n", "3", "--json").out.splitlines()
    assert len(lines) == 3
    records = [json.loads(line) for line in at_shop("audit", "tail", "-n", "50", "--json").out.splitlines()]
    assert any({"audit_id", "outcome", "tool"} <= set(record) for record in records)
    assert all({"audit_id", "outcome"} <= set(record) for record in records)


def test_a_call_is_shown_by_the_beginning_of_its_id(at_shop: Terminal) -> None:
    newest = json.loads(at_shop("audit", "tail", "-n", "1", "--json").out)["audit_id"]
    for prefix in (newest, newest[:22], newest.lower()):
        assert at_shop("audit", "show", prefix, "--json").document["audit_id"] == newest
    people = at_shop("audit", "show", newest)
    assert newest in people.out
    assert "eyJ" not in people.out


def test_an_id_nobody_has_and_one_that_many_have(at_shop: Terminal) -> None:
    assert "no call has" in at_shop("audit", "show", "ZZZZ").err
    done = at_shop("audit", "show", "0")
    assert done.code == 2
    assert "several calls have" in done.err


def test_a_sound_trail_is_verified(at_shop: Terminal) -> None:
    done = at_shop("audit", "verify", "--json")
    assert done.code == 0
    assert done.document["verified"] is True
    assert done.document["records"] >= 8
    assert "verified" in at_shop("audit", "verify").out


def copied_trail(shop: Path, to: Path) -> Path:
    """A copy of a trail in use, the way SQLite makes one."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with (
        closing(sqlite3.connect(shop / ".remit" / "audit.db")) as source,
        closing(sqlite3.connect(to)) as target,
    ):
        source.backup(target)
    return to


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE record SET body = replace(body, 'denied', 'success')",
        "DELETE FROM record WHERE seq = 2",
        "UPDATE record SET call_id = 'X' WHERE seq = 1",
    ],
)
def test_a_trail_that_was_tampered_with_exits_with_1(
    remit: Terminal, workspace: Path, shop: Path, tampering: str
) -> None:
    trail = copied_trail(shop, workspace / ".remit" / "audit.db")
    assert remit("audit", "verify").code == 0
    with closing(sqlite3.connect(trail)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        (table,) = (name for name in tables if not name.startswith("sqlite_"))
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute(tampering.replace("record", table, 1))
        connection.commit()
    done = remit("audit", "verify", "--json")
    assert done.code == 1
    assert done.document["verified"] is False
    assert done.document["broken"]["problem"]
    assert "BROKEN" in remit("audit", "verify").out


def test_a_trail_that_is_not_there_or_none_exits_with_2(remit: Terminal, workspace: Path) -> None:
    for command in ("tail", "verify"):
        done = remit("audit", command)
        assert done.code == 2
        assert "audit.db" in done.err
    (workspace / ".remit" / "audit.db").write_bytes(b"no database " * 100)
    for command in ("tail", "verify"):
        assert remit("audit", command).code == 2
