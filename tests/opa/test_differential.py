"""The embedded engine and a real OPA server, asked the same: no decision may differ.

``REMIT_DIFFERENTIAL_INPUTS`` says how many documents to try; `.ci/opa` tries many.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from remit.clock import SystemClock
from remit.policy.bundle import AUTHZ, STANDARD, Bundle, load_policy
from remit.policy.decision import Decision, Deny
from remit.policy.input import ApprovalState, Phase, ResultFacts
from remit.policy.opa import OpaEngine
from remit.policy.rego import RegoEngine
from remit.policy.tables import check_tables
from support.hostile import Hostile, Shape, words
from support.opa import needs_opa, opa_server
from support.policy import SAMPLE, person, question

pytestmark = needs_opa

HERE = Path(__file__).parent
LIBRARY = HERE.parents[1] / "src" / "remit" / "policy" / "library"
INPUTS = int(os.environ.get("REMIT_DIFFERENTIAL_INPUTS", "1500"))
SEED = int(os.environ.get("REMIT_DIFFERENTIAL_SEED", "20261122"))

IDIOMS = sorted((HERE / "policies").glob("*.rego"))
TABLES = json.loads((HERE / "policies" / "tables.json").read_text("utf-8"))

#: Questions that many of the policies permit, to vary.
BASES = [
    question(),
    question("refund_orders", arguments={"id": "O77", "amount": 40, "items": [{"id": "O77"}]}),
    question("refund_orders", principal=person("support-lead", groups=("sales",)), first_time=True),
    question("refund_orders", approval=ApprovalState("approved", "a1", "bob", "operator"), arguments={"amount": 5000}),
    question(phase=Phase.TOOL_LIST, arguments={}),
    question(phase=Phase.RESULT, result=ResultFacts(200, 30, False, {"items": [{"tax_id": "1"}]})),
    question(phase=Phase.TOKEN_EXCHANGE, arguments={}),
    question("get_payments", principal=person("auditor", groups=("auditors",)), arguments={"count": 3}),
    question("refund_orders", arguments={"id": "O 1; DROP TABLE x", "amount": 90_000.5, "note": None, "for": "2h"}),
    question("get_payments", arguments={"network": "8.8.8.8", "amount": -1, "items": [{"id": 77}]}, now=1_800_040_000),
    question(
        arguments={
            "network": "10.1.2.3",
            "token": "eyJhZG1pbiI6dHJ1ZSB9",
            "for": "10m",
            "until": "2027-03-01T00:00:00Z",
        }
    ),
]


def standard(table: str, *more: str) -> Bundle:
    """The standard policy with one of the tables beside this file, and modules beside them."""
    modules = {name: (LIBRARY / Path(name).name).read_text("utf-8") for name in (STANDARD, AUTHZ)}
    modules |= {name: (HERE / "standard" / name).read_text("utf-8") for name in more}
    tables = json.loads((HERE / "standard" / f"{table}.json").read_text("utf-8"))
    return Bundle.of(modules, {**tables, "closed_on": "Friday"} if more else tables)


def adapted(folder: Path, name: str) -> Bundle:
    """A policy of ``package orchestrator``, through its adapter."""
    (folder / "policy.rego").write_text((HERE / "orchestrator" / f"{name}.rego").read_text("utf-8"), "utf-8")
    return load_policy(folder, adapter="orchestrator")


# ── comparing ────────────────────────────────────────────────────────────────────────────


def told(decision: Decision, shape: Shape) -> object:
    """All that counts of a decision. What is of another kind than it should be, engines print differently in messages."""
    if isinstance(decision, Deny) and decision.failed:
        return "failed"
    verbatim = shape is not Shape.GARBLED
    reasons = [(reason.code, reason.audience, reason.message if verbatim else "") for reason in decision.reasons]
    obligations = [(each.id, each.type, each.properties) for each in decision.obligations]
    return decision.allow, reasons if verbatim else sorted(reasons), obligations


def kind(embedded: Decision, opa: Decision, shape: Shape) -> str:
    """How the decisions compare: ``permit``, ``deny`` or ``failed`` where they are the same.

    The embedded engine fails, and so denies, where a built-in function or an iteration gets a value of a kind it does
    not take; OPA calls some of that undefined. Policy is asked no such thing, so one document in four shows it.
    """
    ours, theirs = told(embedded, shape), told(opa, shape)
    if ours == theirs:
        return "failed" if ours == "failed" else "permit" if embedded.allow else "deny"
    if "failed" in (ours, theirs) and not embedded.allow and not opa.allow:
        return "one denies, one fails"
    return "embedded fails" if ours == "failed" and shape is Shape.GARBLED else "DIFFERS"


async def decide_both(bundle: Bundle, documents: Sequence[Mapping[str, Any]]) -> list[tuple[Decision, Decision]]:
    embedded = await RegoEngine(bundle, SystemClock()).decide_many(documents)
    async with opa_server(bundle) as place:
        server = OpaEngine(place, SystemClock())
        try:
            await server.check_ready()
            return list(zip(embedded, await server.decide_many(documents), strict=True))
        finally:
            await server.aclose()


def compared(bundle: Bundle, count: int) -> Counter[str]:
    """How often the decisions compare how. Fails where one differs."""
    made = list(Hostile(Random(SEED), words(bundle)).documents(count, BASES))  # noqa: S311  nothing is secret here
    pairs = asyncio.run(decide_both(bundle, [document for _, document in made]))
    counts: Counter[str] = Counter()
    for (embedded, opa), (shape, document) in zip(pairs, made, strict=True):
        found = kind(embedded, opa, shape)
        assert found != "DIFFERS", f"seed {SEED}: embedded {embedded}, opa {opa}, asked {json.dumps(document)}"
        counts[found] += 1
    return counts


def report(capsys: pytest.CaptureFixture[str], name: str, counts: Counter[str]) -> None:
    with capsys.disabled():
        print(
            f"\n{name}: {sum(counts.values())} inputs, {', '.join(f'{n} {what}' for what, n in counts.most_common())}"
        )


# ── the policies ─────────────────────────────────────────────────────────────────────────

SHIPPED: dict[str, Callable[[Path], Bundle]] = {
    "sample company": lambda _: load_policy(SAMPLE),
    "standard, small tables": lambda _: standard("small"),
    "standard, rich tables": lambda _: standard("rich"),
    "standard, sloppy tables": lambda _: standard("sloppy"),
    "standard, own rules": lambda _: standard("rich", "own_rules.rego"),
    "orchestrator, tools": lambda folder: adapted(folder, "tools"),
    "orchestrator, tokens": lambda folder: adapted(folder, "tokens"),
}


def test_the_tables_are_such_as_may_be_used_and_such_as_may_not() -> None:
    assert not check_tables(standard("small").data)
    assert not check_tables(standard("rich").data)
    assert check_tables(standard("sloppy").data)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_policies_decide_the_same(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = compared(SHIPPED[name](tmp_path), max(500, INPUTS * 2 // 3 // len(SHIPPED)))
    report(capsys, name, counts)
    assert counts["deny"]
    assert counts["permit"]


@pytest.mark.parametrize("path", IDIOMS, ids=lambda path: path.stem)
def test_the_idioms_of_policies_mean_the_same(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = Bundle.of({path.name: path.read_text("utf-8")}, TABLES)
    counts = compared(bundle, max(60, INPUTS // 3 // len(IDIOMS)))
    report(capsys, path.stem, counts)
    assert sum(counts[found] > 0 for found in ("permit", "deny", "failed")) > 1, (
        "a policy that says one thing tells little"
    )
