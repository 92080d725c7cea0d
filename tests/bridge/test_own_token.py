"""Tools that call their API as this installation itself: the user is decided about and recorded, but not in the token."""

from __future__ import annotations

import pytest

from remit.errors import ExchangeRefused, PolicyDenied
from support.issuer import claims_of
from support.path import Path
from support.policy import engine

pytestmark = pytest.mark.anyio

OWN = """
version: 1
name: reports
upstream:
  baseUrl: https://orders.example/v1
  auth: {type: client-credentials, audience: reports, scopes: ["reports:read"], maxTtl: 60s}
tools:
  - name: read_report
    description: Reads a report that is the same for everybody.
    request: {method: GET, path: /reports}
"""
#: Denies what is done without the user in the token, but for alice.
POLICY = """
package remit.authz
import rego.v1
decision := {"allow": true} if {
    input.token.requested.grant == "client-credentials"
    input.subject.id == "alice"
} else := {"allow": false, "reasons": [{"code": "no", "message": "not this one", "audience": "user"}]}
"""


async def test_the_api_gets_a_token_without_the_user_and_the_trail_names_both() -> None:
    path = Path(files=(OWN,), own_targets=frozenset({"reports"}))
    await path.call("read_report", {})
    claims = claims_of(path.sent[0].headers["authorization"].removeprefix("Bearer "))
    assert (claims["sub"], claims["aud"], "act" in claims) == ("agent-runner", "reports", False)
    assert path.store.records[0]["principal"]["subject"] == "alice"
    assert (path.outcome["exchange"]["kind"], path.outcome["exchange"]["parent_jti"]) == ("direct", "")
    assert path.outcome["exchange"]["chain"] == []
    assert path.outcome["exchange"]["jti"] == claims["jti"]
    assert path.order == ["intent", "call", "outcome"]


async def test_without_the_settings_leave_nothing_is_sent() -> None:
    path = Path(files=(OWN,))
    with pytest.raises(ExchangeRefused, match="does not name the user"):
        await path.call("read_report", {})
    assert path.sent == []
    assert path.outcome["outcome"] == "failure"


async def test_policy_sees_that_there_will_be_no_user_in_the_token_and_who_it_is() -> None:
    path = Path(engine(POLICY), files=(OWN,), own_targets=frozenset({"reports"}))
    await path.call("read_report", {})
    with pytest.raises(PolicyDenied):
        await path.call()
