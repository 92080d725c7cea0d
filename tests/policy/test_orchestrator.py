"""Policies of ``package orchestrator``, as people write them, through the adapter."""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.catalog.tool import ToolAuth
from remit.errors import PolicyInvalid
from remit.policy.adapter import decode
from remit.policy.bundle import Bundle, load_policy, write_bundle
from remit.policy.decision import Decision, Deny
from remit.policy.input import ExchangeTarget, Phase, Question, ResultFacts
from remit.policy.rego import RegoEngine
from support.bundles import needs_opa, opa
from support.clock import FakeClock
from support.policy import decide, person, question

BEARER = """
bearer := payload if {
	header := input.request.http.headers.Authorization
	startswith(header, "Bearer ")
	[_, payload, _] := io.jwt.decode(substring(header, 7, -1))
}
"""

#: Allows by default, forbids some tools by a scope, and tests that scope as a part of a text.
LEDGER = f"""package orchestrator

default result["allowed"] := true
{BEARER}
result["allowed"] := false if {{
	input.request.mcp.tool.params.name == "get_payments"
	not contains(bearer.scope, "payments:read")
}}

result["external_message"] := "ask for payments:read" if {{
	input.request.mcp.tool.params.name == "get_payments"
	not contains(bearer.scope, "payments:read")
}}
"""

#: Denies by default, and allows by role.
MISSIONS = f"""package orchestrator

default result["allowed"] := false
{BEARER}
result["allowed"] if {{
	input.request.mcp.tool.params.name == "get_orders"
	bearer.role in ["intern", "support-lead"]
}}

result["allowed"] if {{
	input.request.mcp.tool.params.name == "refund_orders"
	bearer.role == "support-lead"
	input.request.mcp.tool.params.arguments.amount <= 1000
}}
"""

#: About the tokens that are issued: no scope that the subject does not have.
MINTING = """package orchestrator

default result["allowed"] := false

result["allowed"] if {
	input.request.oauth.grant_type != "urn:ietf:params:oauth:grant-type:token-exchange"
}

asked := {scope | some scope in split(input.request.oauth.scope, " "); scope != ""}

held := {scope | some scope in split(input.request.oauth.subject_token.claims.scope, " "); scope != ""}

result["allowed"] if {
	count(asked - held) == 0
}

result["external_message"] := sprintf("you do not have %s", [concat(" ", asked - held)]) if {
	count(asked - held) > 0
}
"""

#: About both, with the whole result in one rule each.
BOTH = f"""package orchestrator
{BEARER}
result := {{"allowed": true}} if {{
	contains(input.request.oauth.response.access_token.claims.scope, "orders:")
	input.request.oauth.response.access_token.claims.act.sub == "agent-runner"
}}

result := {{"allowed": true}} if {{
	input.request.mcp.tool.params.name == "get_orders"
	"support-lead" in bearer.roles
	bearer.exp > input.time.ns / 1000000000
}}

result := {{"allowed": false, "external_message": "not with this agent"}} if {{
	input.request.mcp.tool.params.name == "refund_orders"
}}
"""


@cache
def adapted(source: str) -> Bundle:
    """A policy beside the adapter."""
    return load_policy(_folder(source), adapter="orchestrator")


@cache
def _engine(source: str) -> RegoEngine:
    return RegoEngine(adapted(source), FakeClock())


_FOLDERS: list[Path] = []


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path) -> None:
    _FOLDERS[:] = [tmp_path]


def _folder(source: str) -> Path:
    folder = _FOLDERS[0] / "policy"
    folder.mkdir(exist_ok=True)
    (folder / "inbound.rego").write_text(source, encoding="utf-8")
    return folder


def asked(source: str, about: Question | None = None) -> Decision:
    """What a policy says through the adapter."""
    return decide(_engine(source), about or question())


def exchange(*scopes: str, **changes: Any) -> Question:
    """The question whether a token for the orders may be issued."""
    auth = ToolAuth("token-exchange", "orders-api", "", scopes, "optional", 120)
    return question(**{**changes, "phase": Phase.TOKEN_EXCHANGE, "tool": ExchangeTarget(auth), "arguments": {}})


def result(body: str) -> str:
    """A policy that answers this."""
    return f"package orchestrator\n\nresult := {body}\n"


# ── policies as people write them ────────────────────────────────────────────────────────

SCOPED = person(scopes=("payments:read",))
CASES: list[tuple[str, Question, bool, str]] = [
    (LEDGER, question("get_orders"), True, ""),
    (LEDGER, question("get_payments"), False, "ask for payments:read"),
    (LEDGER, question("get_payments", principal=SCOPED), True, ""),
    (LEDGER, question("get_payments", principal=person(scopes=())), False, "ask for payments:read"),
    # What a test on parts of a text lets through, it lets through here too: the lint warns of it.
    (LEDGER, question("get_payments", principal=person(scopes=("payments:readonly",))), True, ""),
    (LEDGER, exchange("orders:read"), True, ""),
    (MISSIONS, question("get_orders", principal=person("intern")), True, ""),
    (MISSIONS, question("get_orders", principal=person("guest")), False, ""),
    (MISSIONS, question("get_orders", principal=person(roles=("guest", "intern"))), False, ""),
    (MISSIONS, question("get_payments"), False, ""),
    (MISSIONS, question("refund_orders", arguments={"id": "O7", "amount": 1000}), True, ""),
    (MISSIONS, question("refund_orders", arguments={"id": "O7", "amount": 1001}), False, ""),
    (MISSIONS, question("refund_orders", arguments={"id": "O7"}), False, ""),
    (MISSIONS, question("get_orders", phase=Phase.TOOL_LIST, arguments={}), True, ""),
    (MISSIONS, question("refund_orders", phase=Phase.TOOL_LIST, arguments={}), False, ""),
    (MISSIONS, exchange("orders:read"), True, ""),  # it says nothing of tokens
    (MINTING, exchange("orders:read"), True, ""),
    (MINTING, exchange("orders:read", "hr:read"), False, "you do not have hr:read"),
    (MINTING, exchange(), True, ""),
    (MINTING, question("get_orders"), True, ""),  # the token this call needs
    (MINTING, question("get_payments"), False, "you do not have payments:read"),
    (BOTH, exchange("orders:read"), True, ""),
    (BOTH, exchange("hr:read"), False, ""),
    (BOTH, question("get_orders"), True, ""),
    (BOTH, question("get_orders", principal=person("intern")), False, ""),
    (BOTH, question("refund_orders"), False, "not with this agent"),
    (BOTH, question("get_payments"), False, ""),
]


@pytest.mark.parametrize(("source", "about", "allowed", "message"), CASES)
def test_policies_decide_as_they_were_written(source: str, about: Question, allowed: bool, message: str) -> None:
    decision = asked(source, about)
    assert decision.allow is allowed
    assert not (isinstance(decision, Deny) and decision.failed)
    told = [reason.message for reason in decision.reasons if reason.audience == "user"]
    assert told == ([message] if message else [])


def test_a_result_is_released_where_its_call_is_allowed() -> None:
    facts = ResultFacts(200, 2, False, {"amount": 5000})
    call = question("refund_orders", arguments={"id": "O7", "amount": 1000})
    assert asked(MISSIONS, call).allow
    assert asked(MISSIONS, question(call.tool.name, arguments=call.arguments, phase=Phase.RESULT, result=facts)).allow
    assert not asked(MISSIONS, question("get_payments", phase=Phase.RESULT, result=facts)).allow


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"allowed": "true"}',
        '{"allowed": 1}',
        '{"allowed": null}',
        '{"allowed": [true]}',
        '{"allowed": false, "external_message": 7}',
        '{"Allowed": true}',
        "true",
        '"allowed"',
        "null",
        '[{"allowed": true}]',
        '{"allowed": true} if input.missing',
        '{"allowed": true} if { not_there := input.request.mcp.tool.nothing; not_there }',
    ],
)
def test_whatever_is_not_exactly_true_denies(body: str) -> None:
    for about in (question(), question(phase=Phase.TOOL_LIST, arguments={}), question(phase=Phase.RESULT)):
        decision = asked(result(body), about)
        assert not decision.allow
        assert [reason.audience for reason in decision.reasons] == ["admin"]


def test_no_result_at_all_and_one_that_contradicts_itself_deny() -> None:
    assert not asked("package orchestrator\n\nallowed := true\n").allow
    both = 'result["allowed"] := true if input.request.mcp.tool.params.name == "get_orders"\n\nresult["allowed"] := false if true\n'
    decision = asked(f"package orchestrator\n\n{both}", question("get_orders"))
    assert isinstance(decision, Deny)
    assert decision.failed


def test_a_long_message_is_cut() -> None:
    decision = asked(result(f'{{"allowed": false, "external_message": "{"x" * 5000}"}}'))
    assert [len(reason.message) for reason in decision.reasons] == [1000]


# ── the token they are given ─────────────────────────────────────────────────────────────


def test_the_token_they_see_says_what_was_verified_and_proves_nothing() -> None:
    source = 'package orchestrator\n\nresult := {"allowed": false, "external_message": input.request.http.headers.Authorization}\n'
    (reason,) = asked(source).reasons
    kind, _, token = reason.message.partition(" ")
    assert kind == "Bearer"
    header, claims, signature = decode(token)
    assert token.endswith(".")
    assert (header, signature) == ({"alg": "none", "typ": "JWT"}, "")
    assert claims == {
        "iss": "https://idp.example",
        "sub": "alice",
        "aud": "https://bridge.example",
        "exp": 1_800_000_900,
        "client_id": "agent-runner",
        "azp": "agent-runner",
        "scope": "orders:read orders:write",
        "name": "",
        "groups": [],
        "roles": ["support-lead"],
        "role": "support-lead",
        "acr": "",
        "amr": [],
        "auth_time": 0,
    }
    assert isinstance(claims["exp"], int)


def part(value: Any) -> str:
    """One part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


NONE = part({"alg": "none", "typ": "JWT"})


@pytest.mark.parametrize(
    "token",
    [
        "",
        "..",
        f"{NONE}.{part({})}",
        f"{NONE}.{part({})}.c2ln",
        f"{part({'alg': 'ES256', 'typ': 'JWT'})}.{part({})}.",
        f"{part({'alg': 'none'})}.{part({})}.",
        f"{NONE}.{part([])}.",
        f"{NONE}.!.",
        f"{NONE}.é.",
        f"{NONE}.{part({})}.x.y",
        7,
        None,
        ["a", "b", ""],
    ],
)
def test_no_other_token_is_read(token: Any) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        decode(token)
    source = result('{"allowed": true} if io.jwt.decode(input.request.mcp.tool.params.arguments.token)')
    assert asked(source, question(arguments={"token": f"{NONE}.{part({})}."})).allow
    assert not asked(source, question(arguments={"token": token})).allow


# ── when it is there ─────────────────────────────────────────────────────────────────────


def refused(folder: Path, adapter: str) -> PolicyInvalid:
    """Why this cannot be used."""
    with pytest.raises(PolicyInvalid) as caught:
        RegoEngine(load_policy(folder, adapter=adapter), FakeClock())
    return caught.value


def test_without_the_adapter_such_a_policy_is_refused_by_a_hint() -> None:
    error = refused(_folder(LEDGER), "none")
    assert "adapter" in error.hint
    assert error.where.endswith("inbound.rego")


def test_without_such_a_policy_the_adapter_is_refused() -> None:
    assert "package orchestrator" in refused(_folder("package remit.authz\n"), "orchestrator").message
    folder = _folder(LEDGER)
    (folder / "authz.rego").write_text("package remit.authz\n")
    assert refused(folder, "orchestrator").where.endswith("authz.rego")


def test_reading_tokens_is_for_adapted_policies_alone_and_is_all_they_may_do_with_them() -> None:
    folder = _folder('package remit.authz\n\ndecision := {"allow": true} if io.jwt.decode("a.b.c")\n')
    assert "io.jwt.decode" in refused(folder, "none").message
    for call in ('io.jwt.decode_verify("a", {})', 'io.jwt.verify_es256("a", "b")', 'http.send({"url": "x"})'):
        folder = _folder(f'package orchestrator\n\nresult := {{"allowed": true}} if {call}\n')
        assert call.partition("(")[0] in refused(folder, "orchestrator").message


def test_a_written_bundle_brings_the_adapter_and_needs_the_setting(tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    write_bundle(adapted(LEDGER), path)
    read = load_policy(path, adapter="orchestrator")
    assert (read.modules, read.revision) == (adapted(LEDGER).modules, adapted(LEDGER).revision)
    with pytest.raises(PolicyInvalid):
        load_policy(path)


# ── beside OPA itself ────────────────────────────────────────────────────────────────────

WORDS = st.sampled_from(["", "orders:read", "payments:read", "payments:readonly", "hr:read", "a b", "ü", '"', "\\"])


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Questions in every phase about all there is in the old input."""
    about = {
        "principal": person(
            roles=tuple(draw(st.lists(st.sampled_from(["intern", "support-lead", 'ü " x']), max_size=3))),
            scopes=tuple(draw(st.lists(WORDS, max_size=3))),
            audience=tuple(draw(st.lists(WORDS, max_size=2))),
            name=draw(WORDS),
            expires_at=draw(st.integers(0, 2**33)),
        ),
        "now": draw(st.integers(0, 2**33)),
        "arguments": {"amount": draw(st.none() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(0, 2000) | WORDS)},
    }
    if draw(st.booleans()):
        return exchange(*draw(st.lists(WORDS, max_size=3)), **about)
    name = draw(st.sampled_from(["get_orders", "refund_orders", "get_payments"]))
    phase = draw(st.sampled_from([Phase.TOOL_CALL, Phase.TOOL_LIST, Phase.RESULT]))
    return question(name, phase=phase, **about)


def both(source: str, about: list[Question], folder: Path) -> tuple[list[Any], list[Any]]:
    """The answers of the embedded engine and of OPA, which evaluates all documents in one process."""
    write_bundle(adapted(source), folder / "b.tar.gz")
    (folder / "input.json").write_text(json.dumps([each.document() for each in about]))
    query = "[said | some document in input; said := data.remit.authz.decision with input as document]"
    said = opa("eval", "-b", "b.tar.gz", "-i", "input.json", "--strict-builtin-errors", "-f", "raw", query, cwd=folder)
    answers = [(each["allow"], sorted(reason["message"] for reason in each["reasons"])) for each in json.loads(said)]
    decided = [asked(source, each) for each in about]
    return [(each.allow, sorted(reason.message for reason in each.reasons)) for each in decided], answers


@needs_opa
def test_opa_answers_the_same_to_what_people_wrote(tmp_path: Path) -> None:
    for source in (LEDGER, MISSIONS, MINTING, BOTH):
        ours, theirs = both(source, [about for policy, about, *_ in CASES if policy == source], tmp_path)
        assert ours == theirs


@needs_opa
@pytest.mark.parametrize("source", [LEDGER, MISSIONS, MINTING, BOTH], ids=["ledger", "missions", "minting", "both"])
@given(st.lists(questions(), min_size=40, max_size=40))
@settings(max_examples=3)
def test_opa_answers_the_same_to_anything(
    tmp_path_factory: pytest.TempPathFactory, source: str, about: list[Question]
) -> None:
    ours, theirs = both(source, about, tmp_path_factory.getbasetemp())
    assert ours == theirs
