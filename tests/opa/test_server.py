"""A real OPA server that dies, hangs, wants a token, or has not what it should have."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from remit.clock import SystemClock
from remit.credential import Credential
from remit.errors import PolicyInvalid
from remit.policy.bundle import Bundle
from remit.policy.decision import Deny
from remit.policy.opa import OpaEngine, OpaPlace
from support.clock import FakeClock
from support.opa import free_url, needs_opa, opa_at, opa_server
from support.policy import question

pytestmark = [needs_opa, pytest.mark.anyio]

PERMITS = 'package remit.authz\nimport rego.v1\ndecision := {"allow": true}\n'
DOCUMENT = question().document()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "authz.rego").write_text(PERMITS, "ascii")
    return tmp_path


async def test_a_policy_of_plain_files_has_no_revision(folder: Path) -> None:
    place = OpaPlace(url=free_url())
    async with opa_at(place, folder, "authz.rego"):
        engine = OpaEngine(place, SystemClock())
        await engine.check_ready()
        decision = await engine.decide(DOCUMENT)
        assert (decision.allow, decision.revision, engine.revision) == (True, "opa", "opa")
        await engine.aclose()


async def test_a_killed_server_denies_until_there_is_another(folder: Path) -> None:
    place, clock = OpaPlace(url=free_url()), FakeClock()
    engine = OpaEngine(place, clock)
    async with opa_at(place, folder, "authz.rego") as process:
        assert (await engine.decide(DOCUMENT)).allow
        process.kill()
        await process.wait()
        decisions = [await engine.decide(DOCUMENT) for _ in range(8)]
    assert not any(decision.allow for decision in decisions)
    assert all(isinstance(decision, Deny) and decision.failed for decision in decisions)
    async with opa_at(place, folder, "authz.rego"):
        clock.advance(2)
        assert (await engine.decide(DOCUMENT)).allow
    await engine.aclose()


async def test_a_policy_that_does_not_end_is_cut_while_others_are_decided() -> None:
    source = """
        package remit.authz
        import rego.v1
        decision := {"allow": count(triples) == 0}
        texts := split(input.context.client, ",")
        triples := {1 | some a in texts; some b in texts; some c in texts; concat("", [a, b, c]) == "x"}
    """
    async with opa_server(Bundle.of({"authz.rego": source})) as place:
        engine = OpaEngine(replace(place, timeout=0.5), SystemClock())
        slow = asyncio.create_task(engine.decide(question(client="," * 5000).document()))
        quick = [await engine.decide(question(client="a").document()) for _ in range(20)]
        assert not any(isinstance(decision, Deny) and decision.failed for decision in quick)
        decision = await slow
        assert isinstance(decision, Deny)
        assert decision.detail == "the OPA server did not answer within 0.5 s"
        assert decision.duration_us < 1_000_000
        await engine.aclose()


async def test_a_server_that_wants_a_token_is_shown_it(folder: Path) -> None:
    (folder / "system.rego").write_text(
        'package system.authz\nimport rego.v1\ndefault allow := false\nallow if input.identity == "t0ken"\n', "ascii"
    )
    place = OpaPlace(url=free_url())
    async with opa_at(place, folder, "--authentication=token", "--authorization=basic", "authz.rego", "system.rego"):
        for token, allowed in ((None, False), (Credential("another"), False), (Credential("t0ken"), True)):
            engine = OpaEngine(replace(place, token=token), SystemClock())
            decision = await engine.decide(DOCUMENT)
            assert decision.allow is allowed
            assert "401" in decision.detail or allowed
            await engine.aclose()


@pytest.mark.parametrize(
    ("source", "detail"),
    [
        ("package elsewhere\n", "data.remit.authz.decision is undefined"),
        (PERMITS.replace("true", '"true"'), "allow"),
        (PERMITS + 'decision := {"allow": false} if input.phase == "result"\n', "eval_conflict_error"),
    ],
)
async def test_a_server_without_a_decision_for_everything_is_refused(folder: Path, source: str, detail: str) -> None:
    (folder / "authz.rego").write_text(source, "ascii")
    place = OpaPlace(url=free_url())
    async with opa_at(place, folder, "authz.rego"):
        engine = OpaEngine(place, SystemClock())
        with pytest.raises(PolicyInvalid) as caught:
            await engine.check_ready()
        assert detail in caught.value.detail
        assert caught.value.where == place.url
        await engine.aclose()
