"""`remit approvals`: somebody else says yes or no to one call."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest

from remit.app.development import mint_for
from remit.app.wiring import running
from remit.approvals.approval import Approval, Approver, Binding, State, Terms
from remit.approvals.store import ApprovalStore
from remit.audit.store.reader import open_reader
from remit.audit.trail import Trail
from remit.clock import Clock, SystemClock
from remit.credential import UnverifiedToken
from remit.principal import ActingParty, Actor, Assurance, Principal
from remit.settings import Settings, load_settings
from remit.sts.minting import sign
from remit.tokens.parse import parse
from support.clock import FakeClock
from support.terminal import Done, Terminal

ARGUMENTS = {"order_id": "O1001", "amount": 500}
BY_LEAD = Terms((("role:support-lead",),), 600)
RUNNER = ActingParty(Actor("agent-runner"), Assurance.AUTHENTICATED, "actor_token")


@dataclass
class Office:
    """A workspace in which calls of bob's wait for approval."""

    remit: Terminal
    clock: Clock = field(default_factory=SystemClock)

    @property
    def settings(self) -> Settings:
        return load_settings(self.remit.cwd / "remit.yaml").model_copy(update={"state_dir": self.remit.cwd / ".remit"})

    def ask(self, user: str = "bob", terms: Terms = BY_LEAD, arguments: Mapping[str, Any] = ARGUMENTS) -> Approval:
        binding = self.binding(user, arguments)
        with closing(ApprovalStore(self.settings.approvals_file, self.clock)) as store:
            return asyncio.run(store.ask(binding, terms, arguments))

    def binding(self, user: str = "bob", arguments: Mapping[str, Any] = ARGUMENTS) -> Binding:
        principal = Principal(user, self.settings.issuer)
        return Binding.of(principal, RUNNER, tool="refund_order", tool_digest="d" * 64, arguments=arguments)

    def find(self, approval: Approval) -> Approval:
        with closing(ApprovalStore(self.settings.approvals_file, self.clock)) as store:
            return asyncio.run(store.find(approval.id))

    def use(self, approval: Approval) -> Approval:
        with closing(ApprovalStore(self.settings.approvals_file, self.clock)) as store:
            return asyncio.run(store.use(approval.id, approval.binding))

    def controls(self) -> list[dict[str, str]]:
        with open_reader(self.settings.audit_file) as trail:
            return [record.facts["control"] for record in trail.after(0) if record.kind == "control"]

    def __call__(self, *arguments: object, **more: Any) -> Done:
        return self.remit("approvals", *arguments, **more)


@pytest.fixture
def office(remit: Terminal) -> Office:
    assert remit("init", ".").code == 0
    return Office(remit)


# ── looking ──────────────────────────────────────────────────────────────────────────────


def test_what_waits_is_listed_with_all_that_is_to_be_approved(office: Office) -> None:
    assert office("list").out == "nothing waits for approval\n"
    approval = office.ask()
    listed = office("list").out
    for told in (approval.id, "pending", "min left", "refund_order", "bob ← agent-runner", "role:support-lead"):
        assert told in listed
    assert '{"order_id": "O1001", "amount": 500}' in listed or '{"amount": 500, "order_id": "O1001"}' in listed
    [document] = office("list", "--json").document["approvals"]
    assert (document["id"], document["state"], document["arguments"]) == (approval.id, "pending", ARGUMENTS)
    assert document["subject"] == {"sub": "bob", "iss": office.settings.issuer}
    assert document["approvers"] == [["role:support-lead"]]


def test_one_is_shown_whole_by_the_beginning_of_its_id(office: Office) -> None:
    approval = office.ask(arguments={"note": "x" * 5000})
    assert ("x" * 5000) not in office("list").out
    assert "see `show`" in office("list").out
    page = office("show", approval.id[:12].lower()).out
    assert page.count("x") >= 5000
    assert office("show", approval.id, "--json").document["arguments"] == {"note": "x" * 5000}
    assert office("show", "nothing").code == 4


def test_arguments_cannot_steer_the_terminal_of_whoever_approves(office: Office) -> None:
    approval = office.ask(arguments={"note": "\x1b[2J\u202eevil\x9b", "[bold]": "[red]"})
    for out in (office("list").out, office("show", approval.id).out):
        assert not any(character in out for character in "\x1b\u202e\x9b")
        assert "[red]" in out


def test_those_of_no_use_are_listed_on_demand(office: Office) -> None:
    past = FakeClock(SystemClock().now() - 700)
    gone = Office(office.remit, past).ask()
    waiting = office.ask()
    assert [each["id"] for each in office("list", "--json").document["approvals"]] == [waiting.id]
    every = office("list", "--all", "--json").document["approvals"]
    assert [(each["id"], each["state"]) for each in every] == [(gone.id, "expired"), (waiting.id, "pending")]
    assert every[0]["arguments"] == {}
    assert "min ago" in office("list", "--all").out


# ── deciding ─────────────────────────────────────────────────────────────────────────────


def test_an_approver_grants_a_call_which_is_recorded_and_good_once(office: Office) -> None:
    approval = office.ask()
    done = office("grant", approval.id[:12], "--as", "alice")
    assert (done.code, done.out) == (0, "")
    assert "approved" in done.err
    granted = office.find(approval)
    assert (granted.state, granted.method) == (State.APPROVED, "operator")
    issuer = office.settings.issuer
    assert granted.approver == Approver(issuer, "alice", roles=("support-lead",))
    [control] = office.controls()
    assert control == {
        "action": "approval.granted",
        "approval": approval.id,
        "tool": "refund_order",
        "subject": "bob",
        "subject_issuer": issuer,
        "actor": "agent-runner",
        "actor_issuer": "",
        "approver": "alice",
        "approver_issuer": issuer,
        "method": "operator",
    }
    assert office.use(approval).state is State.USED
    assert "used already" in office("grant", approval.id, "--as", "alice").err
    assert "approval.granted  refund_order  by alice" in office.remit("audit", "tail").out
    assert office.remit("audit", "verify").code == 0


def test_an_approver_denies_a_call(office: Office) -> None:
    approval = office.ask()
    assert office("deny", approval.id, "--as", "alice").code == 0
    assert office.find(approval).state is State.DENIED
    assert office.controls()[0]["action"] == "approval.denied"
    assert office("grant", approval.id, "--as", "alice").code == 4
    assert len(office.controls()) == 1
    assert "denied" in office("list", "--all").out
    assert "by alice of" in office("show", approval.id).out


@pytest.mark.parametrize(
    ("user", "terms", "approver"),
    [
        ("alice", BY_LEAD, "alice"),  # nobody approves their own call
        ("alice", BY_LEAD, "bob"),  # not a lead
        ("bob", Terms((("user",),), 600), "alice"),  # nobody but the user
        ("bob", Terms((("role:support-lead",), ("group:managers",)), 600), "alice"),  # one of two
    ],
)
def test_whoever_may_not_decide_ends_with_4_and_changes_nothing(
    office: Office, user: str, terms: Terms, approver: str
) -> None:
    approval = office.ask(user, terms)
    for verb in ("grant", "deny"):
        done = office(verb, approval.id, "--as", approver)
        assert (done.code, "approval_unusable" in done.err) == (4, True)
    assert office.find(approval) == approval
    assert office.controls() == []


def test_the_user_decides_where_policy_says_so(office: Office) -> None:
    approval = office.ask(terms=Terms((("user", "role:support-lead"),), 600))
    assert office("grant", approval.id, "--as", "bob").code == 0
    assert office.find(approval).state is State.APPROVED


def test_nobody_decides_who_does_not_prove_who_they_are(office: Office) -> None:
    approval = office.ask()
    assert office("grant", approval.id).code == 4
    assert office("grant", approval.id, "--as", "nobody").code == 2
    assert office("grant", approval.id, "--as", "alice", "--token-file", "token").code == 2
    (office.remit.cwd / "token").write_text("nonsense")
    assert office("grant", approval.id, "--token-file", "token").code == 4
    assert office.find(approval) == approval


def token_of_alice(settings: Settings, **claims: Any) -> str:
    async def mint() -> str:
        async with running(settings) as app:
            assert app.sts is not None
            own = parse(UnverifiedToken(mint_for(app, "alice").reveal())).claims
            return sign({**own, **claims}, app.sts.keys.signing_key).reveal()

    return asyncio.run(mint())


def test_an_agent_cannot_approve_in_the_name_of_its_user(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    approval = office.ask()
    monkeypatch.chdir(office.remit.cwd)
    token = office.remit.cwd / "token"
    token.write_text(token_of_alice(office.settings, act={"sub": "agent-runner"}))
    done = office("grant", approval.id, "--token-file", "token")
    assert (done.code, "an agent cannot approve" in done.err) == (4, True)
    assert office.find(approval) == approval
    token.write_text(token_of_alice(office.settings))
    assert office("grant", approval.id, "--token-file", "token").code == 0


def test_a_client_cannot_approve_with_a_token_and_a_role_of_its_own(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval = office.ask()
    monkeypatch.chdir(office.remit.cwd)
    token = office.remit.cwd / "token"
    token.write_text(token_of_alice(office.settings, sub="agent-runner", client_id="agent-runner"))
    done = office("grant", approval.id, "--token-file", "token")
    assert (done.code, "an agent or service cannot approve" in done.err) == (4, True)
    assert office.find(approval) == approval


def test_a_decision_that_cannot_be_recorded_does_not_count(office: Office) -> None:
    approval = office.ask()
    assert office("deny", office.ask(arguments={}).id, "--as", "alice").code == 0  # the trail is there now
    with closing(sqlite3.connect(office.settings.audit_file)) as connection, connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON records BEGIN SELECT RAISE(ABORT, 'full'); END")
    assert office("grant", approval.id, "--as", "alice").code == 8
    assert office.find(approval) == approval


def test_a_decision_that_came_too_late_is_recorded_as_void(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    approval = office.ask()
    record = Trail.control

    async def control(trail: Trail, action: str, what: Mapping[str, str]) -> str:
        if action == "approval.granted":  # while it is recorded, somebody else decides
            with closing(ApprovalStore(office.settings.approvals_file, office.clock)) as store:
                other = Approver(office.settings.issuer, "carol", roles=("support-lead",))
                await store.decide(approval.id, other, grant=False, method="operator")
        return await record(trail, action, what)

    monkeypatch.setattr(Trail, "control", control)
    assert office("grant", approval.id, "--as", "alice").code == 4
    assert [each["action"] for each in office.controls()] == ["approval.granted", "approval.void"]
    assert office.find(approval).state is State.DENIED


def test_no_argument_reaches_trail_or_log(office: Office) -> None:
    approval = office.ask(arguments={"iban": "DE89370400440532013000"})
    done = office.remit("-v", "approvals", "grant", approval.id, "--as", "alice")
    assert (done.code, "DE8937" in done.err) == (0, False)
    assert b"DE8937" not in (office.settings.audit_file).read_bytes()
    assert "DE8937" not in json.dumps(office.controls())
