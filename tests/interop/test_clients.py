"""Independent OAuth clients, unmodified, exchange a user's token at the embedded token service."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from jwt.algorithms import ECAlgorithm

from remit.sts.clients import Client
from support.clock import FakeClock
from support.interop import Tools
from support.servers import Listener, serving_in_thread
from support.sts import AGENT, SECRET, World

#: All but authgent send an actor token.
LIBRARIES = [
    "via_agentsts.py",
    "via_authgent.py",
    "via_authlib.py",
    "via_google_auth.py",
    "via_hallmark.py",
    "via_idpyoidc.py",
    "via_keycard.py",
    "via_requests_oauth2client.py",
    "via_oauth4webapi.mjs",
    "via_openid_client.mjs",
]
#: authgent's own view of an answer has no place for it, and hallmark-identity keeps only what it uses.
KEEP_NO_ISSUED_TOKEN_TYPE = {"via_authgent.py", "via_hallmark.py"}
BY_KEY = "key-runner"

Case = dict[str, str]


@pytest.fixture(scope="module")
def tools() -> Tools:
    return Tools.installed()


@pytest.fixture(scope="module")
def case(tools: Tools) -> Iterator[Case]:
    """What each client is told; ``key_…`` is for the one that proves itself with a key."""
    key = generate_private_key(SECP256R1())
    public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "key-1", "use": "sig", "alg": "ES256"}
    private = ECAlgorithm.to_jwk(key, as_dict=True) | {"kid": "key-1", "alg": "ES256"}
    private.pop("key_ops", None)
    public.pop("key_ops", None)
    by_key = Client(BY_KEY, jwks={"keys": [public]}, targets=AGENT.targets, subject_audiences=AGENT.subject_audiences)
    listener = Listener()
    clients = {AGENT.client_id: AGENT, BY_KEY: by_key}
    world = World(clock=FakeClock(float(int(time.time()))), issuer=listener.url, clients=clients)
    with serving_in_thread(world.app(), listener):
        yield {
            "issuer": world.issuer,
            "token_endpoint": f"{world.issuer}/oauth2/token",
            "client_id": AGENT.client_id,
            "client_secret": SECRET.reveal(),
            "actor_token": asyncio.run(world.actor_token()),
            "key_client_id": BY_KEY,
            "key_actor_token": asyncio.run(world.actor_token(by_key)),
            "private_jwk": json.dumps(private),
            "subject_token": world.user_token(),
            "audience": "orders",
            "scope": "orders:read",
            "jwks": json.dumps(world.keys.jwks()),
        }


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_client_gets_a_delegated_token(library: str, tools: Tools, case: Case) -> None:
    answer = tools.exchange(library, case)

    runner = BY_KEY if library == "via_requests_oauth2client.py" else AGENT.client_id
    claims = decoded(answer["access_token"], case)
    assert claims["sub"] == "alice"
    assert claims["aud"] == "orders"
    assert claims["client_id"] == runner
    assert claims["act"] == {"sub": runner, "iss": case["issuer"]}
    assert claims["scope"] == "orders:read"
    assert 0 < claims["exp"] - claims["iat"] <= 300
    assert answer["token_type"].lower() == "bearer"
    assert 0 < answer["expires_in"] <= 300
    if library not in KEEP_NO_ISSUED_TOKEN_TYPE:
        assert answer["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_client_understands_why_it_is_refused(library: str, tools: Tools, case: Case) -> None:
    answer = tools.exchange(library, case | {"audience": "payroll"})

    assert answer["error"] == "invalid_target"
    assert "access_token" not in answer


def decoded(token: str, case: Case) -> dict[str, Any]:
    """The claims, verified with the published key."""
    (key,) = json.loads(case["jwks"])["keys"]
    claims: dict[str, Any] = jwt.decode(
        token, jwt.PyJWK(key), ["ES256"], audience="orders", issuer=case["issuer"], options={"verify_iat": False}
    )
    return claims
