"""DPoP proofs (RFC 9449): which count, and for what."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import Algorithm, ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm, RSAPSSAlgorithm

from remit.credential import Credential
from remit.errors import ProofInvalid, ProofUncheckable
from remit.tokens.dpop import PROOF_ALGORITHMS, PROOF_SECONDS, DpopProofs, check_proof, thumbprint
from remit.tokens.http_url import normal_url
from support.dpop import KeyHolder, ath_of
from support.issuer import ABSENT, NOW, SigningKey, b64url, rs256_key

URL = "https://bridge.example/mcp"
TOKEN = Credential("abc.def.ghi")
HOLDER = KeyHolder()


def proof(method: str = "POST", url: str = URL, **changes: Any) -> str:
    return HOLDER.proof(method, url, TOKEN.reveal(), **changes)


def check(
    text: str, *, method: str = "POST", url: str = URL, token: Credential | None = TOKEN, now: float = NOW
) -> str:
    return check_proof(text, method=method, url=url, access_token=token, now=now).thumbprint


def refused(text: str, **changes: Any) -> str:
    with pytest.raises(ProofInvalid) as caught:
        check(text, **changes)
    return caught.value.detail


def key_of(alg: str, private: Any, algorithm: Algorithm) -> KeyHolder:
    return KeyHolder(SigningKey("any", alg, private, algorithm))


# ── what counts ──────────────────────────────────────────────────────────────────────────


def test_a_sound_proof_proves_the_key_of_its_thumbprint() -> None:
    assert check(proof()) == HOLDER.thumbprint


def test_the_thumbprint_is_the_one_of_rfc_7638_appendix() -> None:
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3o"
        "knjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZH"
        "zu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEg"
        "U8awapJzKnqDKgw"
    )
    jwk = {"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert thumbprint(jwk) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize(
    "holder",
    [
        key_of("ES384", ec.generate_private_key(ec.SECP384R1()), ECAlgorithm(ECAlgorithm.SHA384)),
        key_of("EdDSA", ed25519.Ed25519PrivateKey.generate(), OKPAlgorithm()),
        key_of("PS256", rs256_key().private, RSAPSSAlgorithm(RSAPSSAlgorithm.SHA256)),
        key_of("RS256", rs256_key().private, RSAAlgorithm(RSAAlgorithm.SHA256)),
    ],
    ids=lambda holder: holder.key.alg,
)
def test_every_public_key_algorithm_will_do(holder: KeyHolder) -> None:
    assert holder.key.alg in PROOF_ALGORITHMS
    assert check(holder.proof("POST", URL, "abc.def.ghi")) == holder.thumbprint


def test_a_token_endpoint_needs_no_hash_of_a_token() -> None:
    assert check(HOLDER.proof("POST", URL), token=None) == HOLDER.thumbprint


@pytest.mark.parametrize("seconds", [-PROOF_SECONDS, 0, PROOF_SECONDS])
def test_a_clock_may_be_off_by_a_minute(seconds: int) -> None:
    assert check(proof(iat=NOW + seconds)) == HOLDER.thumbprint


@pytest.mark.parametrize(
    "htu",
    [
        "HTTPS://Bridge.Example/mcp",
        "https://bridge.example:443/mcp",
        "https://bridge.example:/mcp",
        "https://bridge.example:0443/mcp",
        "https://bridge.example/a/../mcp",
        "https://bridge.example/./mcp",
        "https://bridge.example/%6Dcp",
        "https://bridge.example/mcp?x=1",
        "https://bridge.example/mcp#part",
    ],
)
def test_the_same_url_in_another_spelling_is_the_same_url(htu: str) -> None:
    assert check(proof(url=htu)) == HOLDER.thumbprint


# ── what does not ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "htu",
    [
        "http://bridge.example/mcp",
        "https://bridge.example/MCP",
        "https://bridge.example/mcp/",
        "https://bridge.example//mcp",
        "https://bridge.example:8443/mcp",
        "https://bridge.example.evil.example/mcp",
        "https://bridge.example./mcp",
        "https://bridge.example@evil.example/mcp",
        "https://evil.example@bridge.example/mcp",
        "https://user:secret@bridge.example/mcp",
        "https://bridge.example/mcp%2F..",
        "https://bridge.example/%2e%2e/%2fmcp",
        "https://bridge.example/mcp/..",
        "https://evil.example/?https://bridge.example/mcp",
        "https://evil.example\\@bridge.example/mcp",
        "https://bridge.example\t/mcp",
        " https://bridge.example/mcp",
        "https://bridge.example/mcp\n",
        "//bridge.example/mcp",
        "/mcp",
        "",
        "https://br\u0131dge.example/mcp",
        5,
        None,
        ["https://bridge.example/mcp"],
    ],
)
def test_a_proof_for_another_url_counts_nothing(htu: Any) -> None:
    refused(proof(htu=htu))


@pytest.mark.parametrize("method", ["GET", "post", "POST ", "", None, ["POST"]])
def test_a_proof_for_another_method_counts_nothing(method: Any) -> None:
    refused(proof(htm=method))


@pytest.mark.parametrize("other", [ath_of("another"), ABSENT, None, "", 5])
def test_a_proof_for_another_token_or_none_counts_nothing_at_a_resource(other: Any) -> None:
    assert "ath" in refused(proof(ath=other))


@pytest.mark.parametrize("iat", [NOW - 61, NOW + 61, 0, ABSENT, "now", True, None, 1e308])
def test_a_proof_of_another_time_counts_nothing(iat: Any) -> None:
    refused(proof(iat=iat))


@pytest.mark.parametrize("jti", [ABSENT, "", None, 5, "x" * 257])
def test_a_proof_needs_an_id(jti: Any) -> None:
    refused(proof(jti=jti))


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "dpop", ABSENT, 5])
def test_a_token_of_another_type_is_no_proof(typ: Any) -> None:
    refused(proof(header={"typ": typ}))


@pytest.mark.parametrize("member", [{"crit": ["x"]}, {"b64": False}, {"zip": "DEF"}])
def test_a_header_with_extensions_is_refused(member: dict[str, Any]) -> None:
    refused(proof(header=member))


def test_a_symmetric_algorithm_proves_nothing() -> None:
    secret = b"s" * 32
    holder = key_of("HS256", secret, HMACAlgorithm(HMACAlgorithm.SHA256))
    header = {"typ": "dpop+jwt", "alg": "HS256", "jwk": {"kty": "oct", "k": b64url(secret)}}
    refused(holder.sign(header, {"jti": "1", "htm": "POST", "htu": URL, "iat": NOW, "ath": ath_of("abc.def.ghi")}))


@pytest.mark.parametrize("alg", ["none", "None", "ES384", "RS256", "ES256K", "", 5])
def test_an_algorithm_that_is_not_the_keys_is_refused(alg: Any) -> None:
    refused(proof(header={"alg": alg}))


def test_a_private_key_in_the_header_is_refused() -> None:
    private = ECAlgorithm(ECAlgorithm.SHA256).to_jwk(HOLDER.key.private, as_dict=True)
    assert "no public key" in refused(proof(header={"jwk": {**HOLDER.jwk, "d": private["d"]}}))


@pytest.mark.parametrize(
    "jwk",
    [
        ABSENT,
        None,
        [],
        "key",
        {},
        {"kty": "oct", "k": "AAAA"},
        {**HOLDER.jwk, "x": 5},
        {**HOLDER.jwk, "x": None},
        {**HOLDER.jwk, "x": "AAAA"},
        {**HOLDER.jwk, "crv": "P-384"},
        {**HOLDER.jwk, "kty": ["EC"]},
        {**HOLDER.jwk, "use": "enc"},
        {**HOLDER.jwk, "alg": "ES384"},
        {**HOLDER.jwk, "y": HOLDER.jwk["x"]},
    ],
)
def test_what_is_no_usable_public_key_is_refused(jwk: Any) -> None:
    refused(proof(header={"jwk": jwk}))


@pytest.mark.parametrize(("bits", "exponent"), [(1024, 65537), (6144, 65537)])
def test_an_rsa_key_that_is_too_short_or_too_long_is_refused(bits: int, exponent: int) -> None:
    numbers = rsa.RSAPublicNumbers(exponent, (1 << (bits - 1)) + 1)
    jwk = RSAAlgorithm(RSAAlgorithm.SHA256).to_jwk(numbers.public_key(), as_dict=True)
    refused(proof(header={"alg": "RS256", "jwk": jwk}))


def test_an_rsa_key_with_a_long_exponent_is_refused_because_it_costs_the_verifier() -> None:
    numbers = rsa.RSAPublicNumbers((1 << 2046) + 1, rs256_key().private.public_key().public_numbers().n)
    jwk = RSAAlgorithm(RSAAlgorithm.SHA256).to_jwk(numbers.public_key(), as_dict=True)
    assert "too long" in refused(proof(header={"alg": "RS256", "jwk": jwk}))


def test_a_signature_of_another_key_is_refused() -> None:
    refused(proof(header={"jwk": KeyHolder(rs256_key()).jwk}))
    other = key_of("ES256", ec.generate_private_key(ec.SECP256R1()), ECAlgorithm(ECAlgorithm.SHA256))
    refused(proof(header={"jwk": other.jwk}))


def test_a_member_that_appears_twice_is_refused() -> None:
    claims = f'{{"jti":"1","htm":"POST","htm":"GET","htu":"{URL}","iat":{NOW}}}'.encode()
    header = b64url(b'{"typ":"dpop+jwt","alg":"ES256"}')
    refused(f"{header}.{b64url(claims)}.AAAA")


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "..", proof() + ", " + proof(), proof() + " ", "x" * 9000])
def test_what_is_not_one_proof_is_refused(text: str) -> None:
    refused(text)


def test_a_proof_longer_than_eight_kibibytes_is_refused() -> None:
    refused(proof(filler="x" * 8192))


@given(st.text(max_size=300))
def test_whatever_the_header_holds_the_answer_is_a_refusal(text: str) -> None:
    refused(text)


@given(st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "use", "alg"]), st.text() | st.integers()))
def test_whatever_the_key_is_the_answer_is_a_refusal(jwk: dict[str, Any]) -> None:
    refused(proof(header={"jwk": jwk}))


def test_where_the_servers_own_url_is_not_known_no_proof_counts() -> None:
    refused(proof(), url="")


def test_no_error_shows_the_proof_or_the_token() -> None:
    text = proof(ath="wrong")
    with pytest.raises(ProofInvalid) as caught:
        check(text)
    told = f"{caught.value.message} {caught.value.detail} {caught.value.hint}"
    assert text not in told
    assert TOKEN.reveal() not in told


# ── once ─────────────────────────────────────────────────────────────────────────────────


def test_a_proof_counts_once() -> None:
    proofs, text = DpopProofs(), proof()
    assert proofs.verify(text, "POST", URL, TOKEN, now=NOW) == HOLDER.thumbprint
    with pytest.raises(ProofInvalid, match="not accepted") as caught:
        proofs.verify(text, "POST", URL, TOKEN, now=NOW + PROOF_SECONDS)
    assert caught.value.detail == "it was used before"


def test_a_proof_in_another_spelling_is_the_same_proof() -> None:
    proofs = DpopProofs()
    proofs.verify(proof(jti="1"), "POST", URL, TOKEN, now=NOW)
    with pytest.raises(ProofInvalid):
        proofs.verify(proof(jti="1", url=URL.upper().replace("/MCP", "/mcp")), "POST", URL, TOKEN, now=NOW)


def test_two_keys_may_use_the_same_id() -> None:
    proofs, other = DpopProofs(), KeyHolder(rs256_key())
    proofs.verify(proof(jti="1"), "POST", URL, TOKEN, now=NOW)
    proofs.verify(other.proof("POST", URL, TOKEN.reveal(), jti="1"), "POST", URL, TOKEN, now=NOW)


def test_one_that_is_only_checked_may_still_be_used() -> None:
    proofs, text = DpopProofs(), proof()
    proofs.check(text, "POST", URL, TOKEN, now=NOW)
    proofs.verify(text, "POST", URL, TOKEN, now=NOW)


def test_when_the_memory_is_full_nothing_counts_until_something_has_expired() -> None:
    proofs = DpopProofs(size=2)
    for _ in range(2):
        proofs.verify(proof(), "POST", URL, TOKEN, now=NOW)
    with pytest.raises(ProofUncheckable):
        proofs.verify(proof(), "POST", URL, TOKEN, now=NOW)
    later = NOW + PROOF_SECONDS + 1
    assert proofs.verify(proof(iat=later), "POST", URL, TOKEN, now=later) == HOLDER.thumbprint


# ── URLs ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("http://h", "http://h/"),
        ("http://h:80/?", "http://h/"),
        ("http://[::1]:8700/a/b/../c/", "http://[::1]:8700/a/c/"),
        ("https://h/a/b/..", "https://h/a/"),
        ("https://h/../../a", "https://h/a"),
        ("https://h/%c3%a9%2F%7e", "https://h/%C3%A9%2F~"),
        ("https://h/%2e%2e/a//b", "https://h/a//b"),
    ],
)
def test_a_url_has_one_spelling(url: str, normal: str) -> None:
    assert normal_url(url) == normal


@given(st.from_regex(r"\Ahttps?://[a-zA-Z0-9.]{1,10}(:[0-9]{1,5})?(/[a-z.%2eEF~]{0,6}){0,5}\Z"))
def test_a_normal_url_stays_as_it_is(url: str) -> None:
    try:
        once = normal_url(url)
    except ValueError:
        return
    assert normal_url(once) == once
    assert "/../" not in once
