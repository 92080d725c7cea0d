from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.credential import UnverifiedToken
from remit.errors import TokenMalformed
from remit.tokens.parse import MAX_TOKEN_BYTES, parse
from support.issuer import ABSENT, FakeIssuer, b64url, to_json

IDP = FakeIssuer()
SOUND = IDP.mint()
HEADER = to_json({"alg": "ES256", "typ": "at+jwt"})
PAYLOAD = to_json(IDP.claims())


def nested(depth: int) -> bytes:
    return b'{"act":' * depth + b"{}" + b"}" * depth


def with_payload(payload: bytes) -> str:
    return IDP.sign(HEADER, payload)


def with_header(header: bytes) -> str:
    return IDP.sign(header, PAYLOAD)


def header_with(**members: object) -> str:
    return with_header(to_json({"alg": "ES256", **members}))


HEAD, BODY, SIGNATURE = SOUND.split(".")

MALFORMED = {
    "empty": "",
    "one part": HEAD,
    "two parts": f"{HEAD}.{BODY}",
    "four parts": f"{SOUND}.{SIGNATURE}",
    "five parts, as a JWE has": f"{HEAD}.{BODY}.{SIGNATURE}.{BODY}.{SIGNATURE}",
    "no signature": f"{HEAD}.{BODY}.",
    "no header": f".{BODY}.{SIGNATURE}",
    "leading space": f" {SOUND}",
    "trailing newline": f"{SOUND}\n",
    "newline inside": f"{HEAD}\n.{BODY}.{SIGNATURE}",
    "padded signature": f"{SOUND}==",
    "padded header": f"{HEAD}=.{BODY}.{SIGNATURE}",
    "standard base64 alphabet": f"{HEAD}.{BODY}.{SIGNATURE[:-4]}+/ab",
    "a letter outside ASCII": f"{HEAD}.{BODY}.{SIGNATURE[:-1]}é",
    "a digit outside ASCII": f"{HEAD}.{BODY}.{SIGNATURE[:-1]}٣",
    "a lone surrogate": f"{HEAD}.{BODY}.{SIGNATURE[:-1]}\ud800",
    "a part of impossible length": f"{HEAD}.{BODY}.{SIGNATURE[:85]}",
    "256 KiB": with_payload(to_json({"pad": "x" * 256 * 1024})),
    "one byte too long": "a" * (MAX_TOKEN_BYTES + 1),
    "header not JSON": with_header(b"not json"),
    "header a list": with_header(b"[]"),
    "header a string": with_header(b'"ES256"'),
    "payload not JSON": with_payload(b"not json"),
    "payload a list": with_payload(b"[]"),
    "payload null": with_payload(b"null"),
    "payload a string": with_payload(b'"alice"'),
    "payload empty": f"{HEAD}..{SIGNATURE}",
    "payload with a second value": with_payload(b"{}{}"),
    "payload not UTF-8": with_payload(b'{"sub":"\xff"}'),
    "payload UTF-16": with_payload('{"sub":"alice"}'.encode("utf-16")),
    "payload with a byte order mark": with_payload(b"\xef\xbb\xbf{}"),
    "payload with a raw control character": with_payload(b'{"sub":"a\x00b"}'),
    "duplicate sub": with_payload(b'{"sub":"alice","sub":"admin"}'),
    "duplicate sub, once escaped": with_payload(b'{"sub":"alice","\\u0073ub":"admin"}'),
    "duplicate member inside act": with_payload(b'{"act":{"sub":"a","sub":"b"}}'),
    "duplicate alg": with_header(b'{"alg":"none","alg":"ES256"}'),
    "NaN": with_payload(b'{"exp":NaN}'),
    "Infinity": with_payload(b'{"exp":Infinity}'),
    "minus Infinity": with_payload(b'{"exp":-Infinity}'),
    "a number beyond floats": with_payload(b'{"exp":1e999}'),
    "a huge integer": with_payload(b'{"exp":' + b"9" * 5000 + b"}"),
    "an integer of more than 64 bits": with_payload(b'{"auth_time":18446744073709551616}'),
    "an integer of 21 digits": with_payload(b'{"exp":' + b"9" * 21 + b"}"),
    "lone surrogate in a claim": with_payload(b'{"sub":"\\ud800"}'),
    "lone surrogate in a member's name": with_payload(b'{"\\udfff":"x"}'),
    "lone surrogate in a list": with_payload(b'{"aud":["\\ud800"]}'),
    "act of 17 levels": with_payload(nested(17)),
    "act of 700 levels": with_payload(nested(700)),
    "lists of 2000 levels": with_payload(b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}"),
    "alg none": header_with(alg="none"),
    "alg NONE": header_with(alg="NONE"),
    "alg HS256": header_with(alg="HS256"),
    "alg hs512": header_with(alg="hs512"),
    "alg missing": with_header(b'{"typ":"at+jwt"}'),
    "alg null": header_with(alg=None),
    "alg a list": header_with(alg=["ES256"]),
    "crit": header_with(crit=["exp"], exp=1),
    "crit empty": header_with(crit=[]),
    "b64 false": header_with(b64=False),
    "b64 true": header_with(b64=True),
    "zip": header_with(zip="DEF"),
    "kid a number": header_with(kid=7),
    "kid null": header_with(kid=None),
    "kid too long": header_with(kid="k" * 257),
    "typ a list": header_with(typ=["at+jwt"]),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_token_is_refused(name: str) -> None:
    with pytest.raises(TokenMalformed):
        parse(UnverifiedToken(MALFORMED[name]), max_bytes=MAX_TOKEN_BYTES)


def test_a_1500_deep_act_is_refused_like_any_bad_token() -> None:
    token = UnverifiedToken(with_payload(nested(1500)))
    with pytest.raises(TokenMalformed):
        parse(token, max_bytes=16 * 1024)
    with pytest.raises(TokenMalformed):
        parse(UnverifiedToken(with_payload(nested(100_000))), max_bytes=10**7)


def test_a_sound_token_is_read_as_it_stands() -> None:
    parsed = parse(UnverifiedToken(SOUND))
    assert dict(parsed.header) == {"typ": "at+jwt", "alg": "ES256", "kid": "idp-es256"}
    assert parsed.claims["sub"] == "alice"


def test_the_size_limit_is_the_callers() -> None:
    token = UnverifiedToken(SOUND)
    assert parse(token, max_bytes=len(SOUND)).claims["sub"] == "alice"
    with pytest.raises(TokenMalformed):
        parse(token, max_bytes=len(SOUND) - 1)


def test_a_signature_with_trailing_bits_is_another_text_and_refused() -> None:
    """64 bytes leave four unused bits in the last character: 15 other letters would decode to the same bytes."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    place = alphabet.index(SOUND[-1])
    assert place % 16 == 0
    for other in alphabet[place + 1 : place + 16]:
        with pytest.raises(TokenMalformed):
            parse(UnverifiedToken(SOUND[:-1] + other))


@pytest.mark.parametrize("member", ["jwk", "jku", "x5c", "x5u", "x5t", "x5t#S256"])
def test_keys_in_the_header_are_passed_over(member: str) -> None:
    """Entra sends x5t. That none of them selects a key is shown with the verifier."""
    assert parse(UnverifiedToken(header_with(**{member: "x"}))).header[member] == "x"


def test_neither_header_nor_claims_are_shown() -> None:
    assert "alice" not in repr(parse(UnverifiedToken(SOUND)))


def test_the_error_names_the_rule_and_shows_nothing_of_the_token() -> None:
    with pytest.raises(TokenMalformed) as refused:
        parse(UnverifiedToken(with_payload(b'{"sub":"secret-name","sub":"secret-name"}')))
    assert refused.value.message == "token cannot be read: payload: a member appears twice"
    assert "secret-name" not in repr(refused.value.__cause__)


@given(st.text())
def test_any_text_is_malformed_and_nothing_worse(text: str) -> None:
    with pytest.raises(TokenMalformed):
        parse(UnverifiedToken(text))


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_in_the_parts_are_read_or_malformed(header: bytes, payload: bytes) -> None:
    only_malformed(f"{b64url(header)}.{b64url(payload)}.{SIGNATURE}")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "jwk", "b64"]) | st.text(), JSON), JSON)
def test_any_json_in_the_parts_is_read_or_malformed(header: dict[str, object], payload: object) -> None:
    only_malformed(f"{b64url(json.dumps(header).encode())}.{b64url(json.dumps(payload).encode())}.{SIGNATURE}")


@given(st.integers(0, len(SOUND)), st.integers(0, 8), st.text(max_size=8))
def test_a_cut_and_spliced_token_is_read_or_malformed(place: int, cut: int, splice: str) -> None:
    only_malformed(SOUND[:place] + splice + SOUND[place + cut :])


@given(st.integers(0, len(PAYLOAD) - 1), st.binary(max_size=3))
def test_a_payload_with_changed_bytes_is_read_or_malformed(place: int, splice: bytes) -> None:
    only_malformed(with_payload(PAYLOAD[:place] + splice + PAYLOAD[place + 1 :]))


def only_malformed(text: str) -> None:
    try:
        parse(UnverifiedToken(text))
    except TokenMalformed:
        return


def test_a_header_without_typ_or_kid_can_be_read() -> None:
    parsed = parse(IDP.token(header={"typ": ABSENT, "kid": ABSENT}))
    assert dict(parsed.header) == {"alg": "ES256"}
