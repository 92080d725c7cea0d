"""What an API reads of tokens of both profiles, and of which it reads none."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from remit.errors import AudienceMismatch, ClaimInvalid, PolicyDenied, SettingsInvalid
from remit.principal import Actor, Profile
from remit.resource import Delegation, ResourceServer
from remit.tokens.jwks import StaticKeys
from remit.tokens.verifier import TrustedIssuer
from support.clock import FakeClock
from support.issuer import ABSENT, NOW, FakeIssuer

API = "https://payments.example"
IDP = FakeIssuer(audience=API)
#: Hop 3 of the release note on token delegation.
WORKLOAD: dict[str, Any] = {
    "sub": "orders-service",
    "client_id": "orders-service",
    "act": {"sub": "api-gateway", "act": {"sub": "client-frontend"}},
    "dlg": "workload",
}
RFC8693: dict[str, Any] = {
    "sub": "client-frontend",
    "client_id": "orders-service",
    "act": {"sub": "orders-service", "act": {"sub": "api-gateway"}},
}


def read(profiles: Collection[str], claims: dict[str, Any], **switches: bool) -> Delegation:
    issuer = TrustedIssuer(IDP.issuer, frozenset({"ES256"}), StaticKeys(IDP.jwks()))
    server = ResourceServer(API, [issuer], FakeClock(NOW), profiles=profiles, **switches)
    return asyncio.run(server.authenticate([(b"authorization", f"Bearer {IDP.mint(**claims)}".encode())]))


@pytest.mark.parametrize(("profile", "claims"), [("rfc8693", RFC8693), ("workload", WORKLOAD)])
def test_one_delegation_reads_the_same_in_both_profiles(profile: str, claims: dict[str, Any]) -> None:
    by = read({profile}, claims)
    assert (by.principal, by.current_actor, by.origin) == ("client-frontend", "orders-service", "api-gateway")
    assert by.chain.actors == (Actor("orders-service", IDP.issuer), Actor("api-gateway", IDP.issuer))
    assert (by.profile, by.principal_issuer, by.issuer) == (profile, IDP.issuer, IDP.issuer)
    by.require(actor="orders-service", max_depth=2)
    for earlier in ("api-gateway", "client-frontend"):
        with pytest.raises(PolicyDenied):
            by.require(actor=earlier)
    with pytest.raises(PolicyDenied):
        by.require(max_depth=1)


@pytest.mark.parametrize(("profile", "claims"), [("workload", RFC8693), ("rfc8693", WORKLOAD)])
def test_a_token_of_the_other_profile_is_refused(profile: str, claims: dict[str, Any]) -> None:
    with pytest.raises(ClaimInvalid):
        read({profile}, claims)
    assert read({"workload", "rfc8693"}, claims).principal == "client-frontend"


def test_an_api_reads_rfc8693_unless_told_otherwise() -> None:
    issuer = TrustedIssuer(IDP.issuer, frozenset({"ES256"}), StaticKeys(IDP.jwks()))
    server = ResourceServer(API, [issuer], FakeClock(NOW))
    with pytest.raises(ClaimInvalid):
        asyncio.run(server.authenticate([(b"authorization", f"Bearer {IDP.mint(**WORKLOAD)}".encode())]))


@pytest.mark.parametrize("claims", [RFC8693, WORKLOAD], ids=["rfc8693", "workload"])
def test_the_current_actor_is_the_client_the_token_was_issued_to(claims: dict[str, Any]) -> None:
    with pytest.raises(ClaimInvalid, match="client"):
        read(frozenset(Profile), {**claims, "client_id": "api-gateway"})


def test_a_direct_token_is_of_no_profile_and_is_refused_unless_allowed() -> None:
    hop_1 = {"sub": "client-frontend", "client_id": "client-frontend", "act": ABSENT}
    with pytest.raises(ClaimInvalid):
        read({"workload"}, hop_1)
    by = read({"workload"}, hop_1, allow_direct=True)
    assert (by.principal, by.current_actor, by.origin, by.profile) == ("client-frontend", "", "", None)


def test_a_principal_of_another_issuer_is_told_apart() -> None:
    by = read({"rfc8693"}, {**RFC8693, "sub_iss": "https://corp.example"})
    assert (by.principal_issuer, by.issuer) == ("https://corp.example", IDP.issuer)
    act = {"sub": "api-gateway", "act": {"sub": "alice", "iss": "https://corp.example"}}
    assert read({"workload"}, {**WORKLOAD, "act": act}).principal_issuer == "https://corp.example"


def test_a_token_for_another_api_is_refused_in_both_profiles() -> None:
    for claims in (RFC8693, WORKLOAD):
        with pytest.raises(AudienceMismatch):
            read(frozenset(Profile), {**claims, "aud": "other"})


@pytest.mark.parametrize("profiles", [{"impersonation"}, {"rfc8693", ""}, "both"])
def test_a_profile_that_does_not_exist_is_a_mistake(profiles: Collection[str]) -> None:
    with pytest.raises(SettingsInvalid):
        read(profiles, RFC8693)
