"""`remit demo` as a process: what it plays, what it prints, what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from support.command import remit, remit_process
from support.company import free_port
from support.issuer import claims_of
from support.mcp_door import ERAS, call_message

RUNNER = "agent-runner"


@pytest.fixture(scope="module")
def in_use() -> Iterator[int]:
    """A port somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, in_use: int) -> subprocess.CompletedProcess[str]:
    return remit("demo", "--once", "--json", "--port", in_use, cwd=tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def document(played: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert played.returncode == 0, played.stderr
    told = json.loads(played.stdout)
    assert isinstance(told, dict)
    return told


def test_it_prints_one_document_and_nothing_else(played: subprocess.CompletedProcess[str]) -> None:
    assert played.returncode == 0
    assert played.stderr == ""
    assert {"endpoints", "tokens", "calls", "audit"} <= set(json.loads(played.stdout))


def test_another_port_is_taken_where_its_own_is_in_use(document: dict[str, Any], in_use: int) -> None:
    assert urlsplit(document["endpoints"]["mcp"]).port != in_use


def test_it_names_its_endpoints_and_the_users_tokens(document: dict[str, Any]) -> None:
    endpoints = document["endpoints"]
    assert set(endpoints) == {"mcp", "issuer", "orders", "payments", "stock"}
    assert all(urlsplit(url).hostname == "127.0.0.1" for url in endpoints.values())
    assert endpoints["mcp"] == f"{endpoints['issuer']}/mcp"
    assert set(document["tokens"]) == {"alice", "bob"}
    for user, token in document["tokens"].items():
        claims = claims_of(token)
        assert claims["sub"] == user
        assert claims["aud"] == endpoints["mcp"]
        assert "act" not in claims


def test_every_call_says_who_acted_for_whom_and_how_it_ended(document: dict[str, Any]) -> None:
    members = {"tool", "subject", "actor", "outcome", "reason", "audit_id", "approval", "claims", "downstream_claims"}
    assert all(set(call) == members for call in document["calls"])
    assert {call["actor"] for call in document["calls"]} == {RUNNER}
    assert {call["subject"] for call in document["calls"]} == {"alice", "bob"}
    assert len({call["audit_id"] for call in document["calls"]}) == len(document["calls"])


def test_each_api_got_a_short_lived_token_for_itself_that_names_user_and_agent(document: dict[str, Any]) -> None:
    allowed = [call for call in document["calls"] if call["outcome"] == "success"]
    assert {call["tool"] for call in allowed} == {"get_order", "refund_order"}
    for call in allowed:
        claims = call["claims"]
        assert claims["sub"] == call["subject"]
        assert claims["act"]["sub"] == RUNNER
        assert "act" not in claims["act"]
        assert claims["aud"] == "orders-api"
        assert 0 < claims["exp"] - claims["iat"] <= 300
        assert claims["iss"] == document["endpoints"]["issuer"]
    assert len({call["claims"]["jti"] for call in allowed}) == len(allowed)


def test_a_refund_takes_a_second_hop_that_remembers_the_first(document: dict[str, Any]) -> None:
    refund, _ = (call for call in document["calls"] if call["tool"] == "refund_order" and call["outcome"] == "success")
    (hop,) = refund["downstream_claims"]
    assert hop["sub"] == "alice"
    assert hop["aud"] == "payments-api"
    assert hop["act"]["sub"] == "orders-api"
    assert hop["act"]["act"]["sub"] == RUNNER
    assert 0 < hop["exp"] - hop["iat"] <= 300
    assert hop["exp"] <= refund["claims"]["exp"]


def test_the_user_is_asked_about_a_large_refund_and_the_trail_names_them(document: dict[str, Any]) -> None:
    (approval,) = (call["approval"] for call in document["calls"] if call["approval"])
    assert approval["approver"] == {"sub": "alice", "iss": document["endpoints"]["issuer"]}
    assert approval["method"] == "elicitation"
    assert approval["state"] == "used"


def test_a_denied_refund_has_a_reason_an_audit_id_and_no_token(document: dict[str, Any]) -> None:
    denied = [call for call in document["calls"] if call["outcome"] == "denied"]
    assert [(call["subject"], call["tool"]) for call in denied] == [("bob", "refund_order"), ("alice", "refund_order")]
    assert "role_forbids" in denied[0]["reason"]
    assert "refunds:large" in denied[1]["reason"]
    for call in denied:
        assert call["audit_id"]
        assert call["claims"] is None
        assert call["downstream_claims"] == []


def test_the_trail_is_verified(document: dict[str, Any]) -> None:
    assert document["audit"]["verified"] is True
    assert document["audit"]["records"] >= len(document["calls"])


def test_the_story_is_told_to_people_without_a_token_in_it(tmp_path: Path) -> None:
    done = remit("demo", "--once", "--port", free_port(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("alice ← agent-runner ← orders-api", "role_forbids", "refunds:large", "verified"):
        assert words in done.stdout
    assert "eyJ" not in done.stdout


def test_it_serves_once_its_ready_file_is_there_and_ends_when_told_to(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    with remit_process(
        "demo", "--ready-file", ready, "--dir", tmp_path / "shop", "--port", free_port(), cwd=tmp_path
    ) as process:
        document = wait_for(ready, process)
        assert document["audit"]["verified"] is True
        assert ready.stat().st_mode & 0o077 == 0 or os.name == "nt"
        for era in ERAS:
            headers, body = call_message("get_order", era, {"order_id": "O1002"})
            headers["Authorization"] = f"Bearer {document['tokens']['bob']}"
            answer = httpx.post(document["endpoints"]["mcp"], headers=headers, json=body, trust_env=False)
            assert answer.status_code == 200
            assert "O1002" in answer.text
        stop(process)
        assert process.wait(20) == 0 or os.name == "nt"
    done = remit("-c", tmp_path / "shop" / "remit.yaml", "audit", "verify", "--json", cwd=tmp_path)
    assert done.returncode == 0
    verified = json.loads(done.stdout)
    assert verified["records"] > document["audit"]["records"]
    assert verified["unfinished"] == []


def wait_for(ready: Path, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The document, the moment it is there: it is never seen half written."""
    deadline = time.monotonic() + 60
    while not ready.exists():
        assert process.poll() is None, f"the demo ended with {process.returncode}"
        assert time.monotonic() < deadline
        time.sleep(0.02)  # another process writes it: there is no event to wait for
    document = json.loads(ready.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def stop(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.terminate()
    else:
        process.send_signal(signal.SIGINT)


def test_a_step_that_is_not_as_it_should_be_ends_it_with_1(tmp_path: Path) -> None:
    """Here a policy of the user's own denies everything."""
    folder = tmp_path / "shop"
    port = free_port()
    assert remit("init", folder, cwd=tmp_path).returncode == 0
    settings = (folder / "remit.yaml").read_text(encoding="utf-8")
    for number, old in enumerate((8700, 8701, 8702, 8703)):
        settings = settings.replace(f":{old}", f":{port if number == 0 else free_port()}")
    (folder / "remit.yaml").write_text(settings, encoding="utf-8")
    policy = 'package remit.authz\nimport rego.v1\ndecision := {"allow": false}\n'
    (folder / "policy" / "sample_test.rego").unlink()
    (folder / "policy" / "authz.rego").write_text(policy, encoding="utf-8")
    done = remit("demo", "--once", "--json", "--dir", folder, cwd=tmp_path)
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert {call["outcome"] for call in document["calls"]} == {"unnamed"}  # to the agent there is no such tool
    assert (folder / "policy" / "authz.rego").read_text(encoding="utf-8") == policy
