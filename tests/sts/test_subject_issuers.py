"""Subject tokens of other issuers: exact issuer, pinned algorithms, mapped claims, users told apart."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from remit import oauth
from remit.errors import GrantError, GrantUnavailable, InvalidRequest, InvalidScope, SettingsInvalid
from remit.principal import Profile
from remit.sts.clients import Client
from remit.sts.grant import SecurityTokenService
from remit.sts.subject import SubjectIssuer
from remit.tokens.jwks import LiveKeys, StaticKeys
from remit.tokens.verifier import TrustedIssuer
from support.issuer import ABSENT, RS256, FakeIssuer, claims_of
from support.sts import AGENT, BRIDGE, ISSUER, World, exchange_form

CORP = FakeIssuer("https://corp.example", BRIDGE, "corp")
PARTNER = FakeIssuer("https://partner.example", BRIDGE, "partner")
ES256 = frozenset({"ES256"})


def trusted(idp: FakeIssuer, **rules: Any) -> SubjectIssuer:
    return SubjectIssuer(TrustedIssuer(idp.issuer, ES256, StaticKeys(idp.jwks())), **rules)


@dataclass
class Federated(World):
    """A token service that takes the tokens of other issuers."""

    issuers: tuple[SubjectIssuer, ...] = field(default_factory=lambda: (trusted(CORP), trusted(PARTNER)))

    def __post_init__(self) -> None:
        self.sts = SecurityTokenService(self.issuer, self.keys, self.clock, self.clients, self.issuers)


def exchanged(world: World, subject: str, client: Client = AGENT, **changes: str | None) -> dict[str, Any]:
    return claims_of(asyncio.run(world.grant(client, exchange_form(subject, **changes)))["access_token"])


def refused(world: World, subject: str, **changes: str) -> GrantError:
    with pytest.raises(GrantError) as caught:
        exchanged(world, subject, AGENT, **changes)
    return caught.value


def test_the_user_keeps_the_name_of_their_issuer() -> None:
    claims = exchanged(Federated(), CORP.mint())
    assert (claims["iss"], claims["sub"], claims["sub_iss"]) == (ISSUER, "alice", CORP.issuer)
    assert claims["act"] == {"sub": "agent-runner", "iss": ISSUER}
    assert claims["scope"] == "orders:read"


def test_two_issuers_users_of_one_name_stay_two() -> None:
    world = Federated()
    principals = {
        (claims["sub"], claims.get("sub_iss", claims["iss"]))
        for claims in (exchanged(world, token) for token in (CORP.mint(), PARTNER.mint(), world.user_token()))
    }
    assert principals == {("alice", CORP.issuer), ("alice", PARTNER.issuer), ("alice", ISSUER)}


def test_the_next_hop_still_knows_whose_user_it_is() -> None:
    world = Federated(issuers=(trusted(CORP, subject_claim="email"),))
    first = asyncio.run(world.grant(AGENT, exchange_form(CORP.mint(email="a@corp.example", scope="pay"))))
    orders = world.clients["orders-api"]
    claims = exchanged(world, first["access_token"], orders, audience="payments")
    assert (claims["sub"], claims["sub_iss"], claims["sub_id"]) == ("a@corp.example", CORP.issuer, "alice")


def test_in_the_workload_profile_the_users_issuer_stands_beside_them() -> None:
    world = Federated()
    rule = replace(AGENT.targets[0], profile=Profile.WORKLOAD)
    client = world.change(AGENT, profile=Profile.WORKLOAD, targets=(rule,))
    claims = exchanged(world, CORP.mint(), client)
    assert (claims["sub"], claims["act"]) == ("agent-runner", {"sub": "alice", "iss": CORP.issuer})
    assert "sub_iss" not in claims


def test_an_issuer_cannot_speak_of_anothers_users() -> None:
    world = Federated()
    claims = exchanged(world, CORP.mint(sub_iss=PARTNER.issuer, sub_id="x"))
    assert claims["sub_iss"] == CORP.issuer
    assert "sub_id" not in claims


def test_claims_are_read_where_the_issuer_puts_them() -> None:
    world = Federated(issuers=(trusted(CORP, subject_claim="oid", scope_claim="permissions"),))
    token = CORP.mint(oid="u-1", sub="pairwise", permissions=["orders:read"], scope="pay")
    claims = exchanged(world, token)
    assert (claims["sub"], claims["sub_id"], claims["scope"]) == ("u-1", "pairwise", "orders:read")
    assert exchanged(world, CORP.mint(oid="u-1", permissions="orders:read pay"))["scope"] == "orders:read pay"


@pytest.mark.parametrize("oid", [ABSENT, "", 7, ["a"], None], ids=repr)
def test_a_token_without_the_mapped_subject_is_refused(oid: Any) -> None:
    world = Federated(issuers=(trusted(CORP, subject_claim="oid"),))
    assert type(refused(world, CORP.mint(oid=oid))) is InvalidRequest


@pytest.mark.parametrize("permissions", [ABSENT, "", []], ids=repr)
def test_scopes_come_from_that_token_alone(permissions: Any) -> None:
    world = Federated(issuers=(trusted(CORP, scope_claim="permissions"),))
    assert type(refused(world, CORP.mint(permissions=permissions))) is InvalidScope


@pytest.mark.parametrize("permissions", [7, [7], ["a b"], {}, 'a"'], ids=repr)
def test_scopes_that_cannot_be_read_refuse_the_token(permissions: Any) -> None:
    world = Federated(issuers=(trusted(CORP, scope_claim="permissions"),))
    assert type(refused(world, CORP.mint(permissions=permissions))) is InvalidRequest


def test_an_algorithm_that_was_not_pinned_is_refused() -> None:
    keys = StaticKeys(CORP.jwks("ES256", RS256))
    world = Federated(issuers=(SubjectIssuer(TrustedIssuer(CORP.issuer, ES256, keys)),))
    assert exchanged(world, CORP.mint())["sub"] == "alice"
    assert type(refused(world, CORP.mint(key=RS256))) is InvalidRequest


@pytest.mark.parametrize("issuer", ["https://corp.example/", "https://CORP.example", "https://other.example"])
def test_the_issuer_is_matched_exactly(issuer: str) -> None:
    error = refused(Federated(), CORP.mint(iss=issuer))
    assert error.message == "subject_token is not acceptable: issuer_untrusted"


def test_one_issuers_keys_do_not_sign_for_another() -> None:
    world = Federated()
    for iss in (PARTNER.issuer, ISSUER):
        assert type(refused(world, CORP.mint(iss=iss))) is InvalidRequest


def test_a_token_for_somebody_else_is_refused() -> None:
    assert type(refused(Federated(), CORP.mint(aud="other"))) is InvalidRequest


def test_an_issuer_may_be_held_to_fewer_audiences() -> None:
    world = Federated(issuers=(trusted(CORP, audiences=frozenset({"agent-runner", "elsewhere"})),))
    assert exchanged(world, CORP.mint(aud="agent-runner"))["sub"] == "alice"
    assert type(refused(world, CORP.mint())) is InvalidRequest
    assert type(refused(world, CORP.mint(aud="elsewhere"))) is InvalidRequest


def test_the_header_typ_is_the_one_that_was_named() -> None:
    assert type(refused(Federated(), CORP.mint(header={"typ": "JWT"}))) is InvalidRequest
    world = Federated(issuers=(trusted(CORP, typ=frozenset({"jwt"})), trusted(PARTNER)))
    assert exchanged(world, CORP.mint(header={"typ": "JWT"}, jti=ABSENT, client_id=ABSENT))["sub"] == "alice"
    assert type(refused(world, PARTNER.mint(header={"typ": "JWT"}))) is InvalidRequest
    assert type(refused(world, world.forge(jti=None))) is InvalidRequest


def test_may_act_is_honoured() -> None:
    world = Federated()
    assert exchanged(world, CORP.mint(may_act={"sub": "agent-runner", "iss": ISSUER}))["sub"] == "alice"
    assert type(refused(world, CORP.mint(may_act={"sub": "other"}))) is InvalidRequest
    assert type(refused(world, CORP.mint(may_act={"sub": "agent-runner", "iss": CORP.issuer}))) is InvalidRequest


def test_the_issuers_own_actors_stay_in_the_chain_under_its_name() -> None:
    claims = exchanged(Federated(), CORP.mint(act={"sub": "agent-runner"}))
    assert claims["act"] == {
        "sub": "agent-runner",
        "iss": ISSUER,
        "act": {"sub": "agent-runner", "iss": CORP.issuer},
    }


def test_another_issuers_workload_token_is_refused() -> None:
    token = CORP.mint(act={"sub": "alice"}, dlg="workload")
    assert type(refused(Federated(), token)) is InvalidRequest


def test_another_issuers_token_is_no_actor_token() -> None:
    actor = CORP.mint(sub="agent-runner", aud=ISSUER)
    error = refused(Federated(), CORP.mint(), actor_token=actor, actor_token_type=oauth.TOKEN_TYPE_ACCESS_TOKEN)
    assert error.message == "actor_token is not acceptable: issuer_untrusted"


def test_keys_that_cannot_be_had_are_no_fault_of_the_request() -> None:
    def broken() -> dict[str, Any]:
        return {"keys": []}

    world = Federated(issuers=(SubjectIssuer(TrustedIssuer(CORP.issuer, ES256, LiveKeys(broken))),))
    error = refused(world, CORP.mint())
    assert (type(error), error.status, error.code) == (GrantUnavailable, 503, "server_error")


def test_an_issuer_is_named_once_and_is_not_the_service_itself() -> None:
    with pytest.raises(SettingsInvalid):
        Federated(issuers=(trusted(CORP), trusted(CORP)))
    with pytest.raises(SettingsInvalid):
        Federated(issuers=(trusted(FakeIssuer(ISSUER)),))
