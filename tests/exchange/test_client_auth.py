from __future__ import annotations

import asyncio
import base64
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from remit.credential import Credential
from remit.errors import SettingsInvalid
from remit.exchange.client_auth import ClientAuthentication, ClientSecretBasic, ClientSecretPost, PrivateKeyJwt
from support.issuer import NOW, claims_of, es256_key, header_of, rs256_key
from support.sts import AGENT, ISSUER, World

SECRET = "p%ss w:rd+ é with all sorts"


def pem_of(key: Any, password: bytes = b"") -> Credential:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return Credential(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode())


def test_basic_form_encodes_both_parts_first() -> None:
    proof = ClientSecretBasic("client:1", Credential("a b&c:é")).prove(now=NOW)
    [(name, value)] = proof.headers
    assert (name, value[:6]) == ("Authorization", "Basic ")
    assert base64.b64decode(value[6:]) == b"client%3A1:a+b%26c%3A%C3%A9"
    assert proof.fields == ()


def test_post_puts_both_into_the_form() -> None:
    proof = ClientSecretPost("client", Credential("secret")).prove(now=NOW)
    assert (proof.headers, proof.fields) == ((), (("client_id", "client"), ("client_secret", "secret")))


@pytest.mark.parametrize(("key", "alg"), [(es256_key(), "ES256"), (rs256_key(), "RS256")], ids=["ES256", "RS256"])
def test_an_assertion_is_short_lived_and_for_the_issuer_alone(key: Any, alg: str) -> None:
    method = PrivateKeyJwt.from_pem("client", pem_of(key.private), audience=ISSUER, kid="k1")
    first, second = (dict(method.prove(now=NOW + 0.9).fields) for _ in range(2))
    claims = claims_of(first["client_assertion"])
    assert header_of(first["client_assertion"]) == {"alg": alg, "typ": "JWT", "kid": "k1"}
    assert claims.pop("jti") != claims_of(second["client_assertion"])["jti"]
    assert claims == {"iss": "client", "sub": "client", "aud": ISSUER, "iat": NOW, "exp": NOW + 60}
    assert first["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.mark.parametrize(
    "pem",
    [
        Credential("no key"),
        pem_of(ec.generate_private_key(ec.SECP384R1())),
        pem_of(rsa.generate_private_key(65537, 1024)),  # noqa: S505  what must be refused
        pem_of(es256_key().private, b"password"),
    ],
    ids=["text", "P-384", "RSA-1024", "encrypted"],
)
def test_a_key_that_is_too_weak_or_unknown_is_refused(pem: Credential) -> None:
    with pytest.raises(SettingsInvalid):
        PrivateKeyJwt.from_pem("client", pem, audience=ISSUER)


METHODS: list[ClientAuthentication] = [
    ClientSecretBasic("agent-runner", Credential(SECRET)),
    ClientSecretPost("agent-runner", Credential(SECRET)),
    PrivateKeyJwt.from_pem("agent-runner", pem_of(es256_key("assertions").private), audience=ISSUER, kid="assertions"),
    PrivateKeyJwt.from_pem("agent-runner", pem_of(rs256_key("assertions-rsa").private), audience=ISSUER),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_the_embedded_token_service_takes_every_method(method: ClientAuthentication) -> None:
    jwks = {"keys": [es256_key("assertions").jwk(), rs256_key("assertions-rsa").jwk()]}
    world = World()
    world.change(AGENT.with_secret(Credential(SECRET)), jwks=jwks)

    async def main() -> int:
        proof = method.prove(now=world.clock.now())
        body = urlencode([("grant_type", "client_credentials"), *proof.fields])
        headers = [("Content-Type", "application/x-www-form-urlencoded"), *proof.headers]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(world.app()), base_url=ISSUER) as http:
            return (await http.post("/oauth2/token", content=body, headers=headers)).status_code

    assert asyncio.run(main()) == 200


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_no_method_shows_its_secret(method: ClientAuthentication) -> None:
    proof = method.prove(now=NOW)
    shown = repr((method, proof))
    assert SECRET not in shown
    assert "PrivateKey object" not in shown
    assert not any(value in shown for _, value in (*proof.headers, *proof.fields) if value != "agent-runner")
