"""`remit revoke`: the kill switch from the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from remit.audit.store.reader import open_reader
from support.issuer import FakeIssuer
from support.terminal import Terminal


@pytest.fixture
def here(remit: Terminal) -> Terminal:
    assert remit("init", ".").code == 0
    return remit


def controls(folder: Path) -> list[dict[str, str]]:
    with open_reader(folder / ".remit" / "audit.db") as trail:
        return [record.facts["control"] for record in trail.after(0)]


@pytest.mark.parametrize("kind", ["jti", "txn", "subject", "actor"])
def test_what_was_revoked_is_listed_recorded_and_lifted(here: Terminal, kind: str) -> None:
    done = here("revoke", f"--{kind}", "x1", "--reason", "laptop stolen", "--json")
    assert done.code == 0
    document = done.document
    assert (document["number"], document["kind"], document["value"], document["until"]) == (1, kind, "x1", None)
    assert here("revoke", "list", "--json").document == {"revocations": [document]}
    assert "laptop stolen" in here("revoke", "list").out
    assert here("revoke", "lift", "1", "--reason", "found it").code == 0
    assert here("revoke", "list").out == "nothing is revoked\n"
    revoked, lifted = controls(here.cwd)
    assert (revoked["action"], revoked["kind"], revoked["value"]) == ("revoke", kind, "x1")
    assert (lifted["action"], lifted["number"], lifted["reason"]) == ("lift-revocation", "1", "found it")
    assert revoked["by"] == lifted["by"] == document["by"]
    assert here("audit", "verify").code == 0
    assert "x1" in here("audit", "tail").out


def test_a_token_comes_from_standard_input_and_never_from_the_command_line(here: Terminal) -> None:
    token = FakeIssuer().mint(jti="j1")
    done = here("revoke", "--token", "-", "--json", stdin=f"{token}\n")
    assert (done.document["kind"], done.document["value"]) == ("jti", "j1")
    assert done.document["until"] == FakeIssuer().now + 360
    assert here("revoke", "--token", token).code == 2
    assert here("revoke", "--token", "-", stdin="nonsense").code != 0
    assert here("revoke", "--token", "-", stdin=FakeIssuer().mint(exp=1_000_000)).code == 2
    assert token not in (here.cwd / ".remit" / "audit.db").read_bytes().decode("latin-1")


def test_a_revocation_may_be_for_a_while(here: Terminal) -> None:
    document = here("revoke", "--actor", "a", "--for", "15m", "--json").document
    assert document["until"] == document["at"] + 900
    assert here("revoke", "--actor", "a", "--for", "soon").code == 2


@pytest.mark.parametrize(
    "arguments",
    [[], ["--jti", "a", "--txn", "b"], ["--subject", ""], ["--actor", "a\nb"], ["--subject", "x" * 300], ["lift", "7"]],
)
def test_what_names_nothing_or_too_much_is_refused(here: Terminal, arguments: list[str]) -> None:
    done = here("revoke", *arguments)
    assert (done.code, done.out) == (2, "")
    assert here("revoke", "list", "--json").document == {"revocations": []}
