from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.credential import Credential
from remit.errors import PolicyInvalid
from remit.policy.archive import read_archive, write_archive
from remit.policy.bundle import Bundle, load_policy, write_bundle
from remit.policy.signature import SIGNATURES, Signatures, SigningKey, VerificationKey, sign, verify
from support.bundles import needs_opa, opa, says

#: Built and signed by OPA 1.20.2: one with `opa build`, one with `opa sign`, whose data is YAML too.
BUILT = Path(__file__).parent / "bundles"
SECRET = "a-secret-only-for-this-test-and-nothing-else"

FILES = {
    "authz.rego": b"package remit.authz\n",
    "data.json": b'{"remit_data": {"limit": 1.50, "text": "a<b\\u2028"}}',
    ".manifest": b'{"revision": "r"}',
    "notes.txt": b"any",
}


def pem(key: Any) -> Credential:
    """A private key's text."""
    return Credential(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def public(key: Any) -> Credential:
    """Its public half's."""
    return Credential(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
ED = ed25519.Ed25519PrivateKey.generate()
KEYS = {
    "ec": (pem(EC), VerificationKey(public(EC), "ES256")),
    "rsa": (pem(RSA), VerificationKey(public(RSA), "RS256")),
    "pss": (pem(RSA), VerificationKey(public(RSA), "PS384")),
    "ed": (pem(ED), VerificationKey(public(ED), "EdDSA")),
    "hmac": (Credential(SECRET), VerificationKey(Credential(SECRET), "HS256")),
}
KNOWN = Signatures(keys={name: key for name, (_, key) in KEYS.items()})


def signing(name: str = "hmac", scope: str = "") -> SigningKey:
    """The private half of one of ``KEYS``."""
    return SigningKey(name, KEYS[name][0], KEYS[name][1].algorithm, scope)


def signed(files: Mapping[str, bytes] = FILES, name: str = "hmac", scope: str = "") -> dict[str, bytes]:
    """These files with a signature over them."""
    return {**files, SIGNATURES: sign(files, signing(name, scope))}


def with_token(token: str, **more: Any) -> dict[str, bytes]:
    """``FILES`` with this as their signature."""
    return {**FILES, SIGNATURES: json.dumps({"signatures": [token], **more}).encode()}


def token_of(payload: Any, secret: str = SECRET, **header: Any) -> str:
    """A token that anybody with the secret can make."""
    return jwt.PyJWS().encode(json.dumps(payload).encode(), secret, "HS256", headers={"kid": "hmac", **header})


def listing() -> list[dict[str, str]]:
    """What a good signature lists."""
    token = json.loads(signed()[SIGNATURES])["signatures"][0]
    payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    files: list[dict[str, str]] = payload["files"]
    return files


def refused(files: Mapping[str, bytes], signatures: Signatures = KNOWN) -> PolicyInvalid:
    """Why these are not believed."""
    with pytest.raises(PolicyInvalid) as caught:
        verify(files, signatures)
    return caught.value


# ── what OPA signed ──────────────────────────────────────────────────────────────────────


def test_a_bundle_that_opa_built_and_signed_is_believed() -> None:
    key = VerificationKey(Credential((BUILT / "opa-es256.pem").read_text()), "ES256")
    bundle = load_policy(BUILT / "opa-build-es256.tar.gz", signatures=Signatures(required=True, keys={"default": key}))
    assert bundle.data["limits"]["tools"] == ["get_orders", "get_payments"]
    assert bundle.revision.startswith("2026-11@")


def test_a_folder_that_opa_signed_and_tar_packed_is_believed() -> None:
    key = VerificationKey(Credential(SECRET), "HS256")
    known = Signatures(required=True, scope="write", keys={"tests": key})
    bundle = load_policy(BUILT / "opa-sign-hs256.tar.gz", signatures=known)
    assert bundle.data["limits"]["tiny"] == 0.00000012
    assert list(bundle.tests) == ["authz_test.rego"]


def test_what_opa_signed_is_not_believed_once_it_is_changed(tmp_path: Path) -> None:
    files = read_archive(BUILT / "opa-build-es256.tar.gz")
    known = Signatures(keys={"default": VerificationKey(Credential((BUILT / "opa-es256.pem").read_text()), "ES256")})
    files["data.json"] = files["data.json"].replace(b"get_orders", b"get_secret")
    write_archive(tmp_path / "b.tar.gz", files)
    with pytest.raises(PolicyInvalid) as caught:
        load_policy(tmp_path / "b.tar.gz", signatures=known)
    assert "not the one that was signed" in caught.value.message
    assert caught.value.where == str(tmp_path / "b.tar.gz")


def test_a_signed_bundle_is_refused_where_no_key_is_known() -> None:
    for signatures in (None, Signatures()):
        with pytest.raises(PolicyInvalid) as caught:
            load_policy(BUILT / "opa-build-es256.tar.gz", signatures=signatures)
        assert "no key is known" in caught.value.message


# ── what is signed here ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", sorted(KEYS))
def test_what_a_key_signed_its_other_half_verifies(name: str) -> None:
    verify(signed(name=name), KNOWN)


def test_a_written_bundle_is_signed_and_believed(tmp_path: Path) -> None:
    bundle = Bundle.of({"authz.rego": "package remit.authz\n"}, {"limit": 1.5})
    write_bundle(bundle, tmp_path / "b.tar.gz", signing=signing("ec"))
    known = Signatures(required=True, keys={"ec": KEYS["ec"][1]})
    assert says(load_policy(tmp_path / "b.tar.gz", signatures=known)) == says(bundle)


def test_spaces_and_order_of_data_do_not_matter_but_everything_else_does() -> None:
    files = signed()
    verify({**files, "data.json": b'{"remit_data":{ "text":"a<b\\u2028" ,"limit":1.50}}'}, KNOWN)
    for other in (b'{"remit_data":{"text":"a<b\\u2028","limit":1.5}}', b'{"remit_data":{"text":"a<b\\u2028"}}', b"{"):
        refused({**files, "data.json": other})


@given(st.sampled_from(sorted(signed())), st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=100)
def test_no_byte_can_be_changed(name: str, place: int, change: int) -> None:
    files = signed()
    content = bytearray(files[name])
    content[place % len(content)] ^= change
    try:
        verify({**files, name: bytes(content)}, KNOWN)
    except PolicyInvalid:
        return
    # Where it can, it says the same: a space for a line break in JSON, or in capitals what is a hash either way.
    assert json.loads(content) == json.loads(files[name])


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_file_can_be_added_renamed_or_taken_out(name: str) -> None:
    files = signed()
    assert "does not list" in refused({**files, f"more/{name}": files[name]}).message
    content = files.pop(name)
    assert "does not have" in refused(files).message
    refused({**files, f"more/{name}": content})


# ── whose signature it is ────────────────────────────────────────────────────────────────


def test_an_unknown_key_and_anothers_key_are_refused() -> None:
    assert "not known" in refused(signed(), Signatures(keys={"other": KEYS["hmac"][1], "ec": KEYS["ec"][1]})).message
    assert "not valid" in refused(signed(), Signatures(keys={"hmac": KEYS["ec"][1]})).message
    wrong = VerificationKey(Credential(SECRET[::-1]), "HS256")
    assert "not valid" in refused(signed(), Signatures(keys={"hmac": wrong})).message


def test_a_signature_that_names_no_key_is_by_the_only_one() -> None:
    payload = {"files": listing()}
    token = jwt.PyJWS().encode(json.dumps(payload).encode(), SECRET, "HS256")
    verify(with_token(token), Signatures(keys={"any": KEYS["hmac"][1]}))
    assert "not known" in refused(with_token(token)).message


def test_the_claim_names_the_key_where_the_header_does_not() -> None:
    payload = {"files": listing(), "keyid": "hmac"}
    verify(with_token(jwt.PyJWS().encode(json.dumps(payload).encode(), SECRET, "HS256")), KNOWN)


def test_a_public_key_is_no_secret() -> None:
    """The old trick: an HMAC whose secret is the public key that everybody has."""
    key = KEYS["rsa"][1].key.reveal().encode()
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": "HS256", "kid": "rsa"}, {"files": listing()})
    )
    method = jwt.PyJWS().get_algorithm_by_name("HS256")
    mac = base64.urlsafe_b64encode(method.sign(f"{head}.{body}".encode(), key)).rstrip(b"=").decode()
    assert "not valid" in refused(with_token(f"{head}.{body}.{mac}")).message


def test_nothing_is_signed_by_nobody() -> None:
    token = jwt.PyJWS().encode(json.dumps({"files": listing()}).encode(), "", "none", headers={"kid": "hmac"})
    assert "not valid" in refused(with_token(token)).message


@pytest.mark.parametrize(
    ("said", "wanted", "believed"), [("", "", 1), ("w", "w", 1), ("w", "", 0), ("", "w", 0), ("r", "w", 0)]
)
def test_the_scope_must_be_the_very_one(said: str, wanted: str, believed: int) -> None:
    known = Signatures(scope=wanted, keys=KNOWN.keys)
    if believed:
        verify(signed(scope=said), known)
    else:
        assert "for something else" in refused(signed(scope=said), known).message


# ── what is not well formed ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"signatures": []}',
        b'{"signatures": ["a.b.c", "a.b.c"]}',
        b'{"signatures": [1]}',
        b'{"signatures": ["a.b.c"], "plugin": "another"}',
        b'{"signatures": ["a.b.c"], "more": 1}',
        b'{"signatures": ["a.b.c"]}',
        b'{"signatures": ["\\ud800"]}',
        b'{"signatures": ["' + b"a" * 100_000 + b'"]}',
    ],
)
def test_a_signature_file_of_another_form_is_refused(content: bytes) -> None:
    refused({**FILES, SIGNATURES: content})


@pytest.mark.parametrize(
    "files",
    [
        None,
        {},
        [],
        [1],
        [{"name": "a"}],
        [*listing(), {"name": "authz.rego", "hash": "0" * 64, "algorithm": "SHA-256"}],
        [{**item, "algorithm": "MD5"} for item in listing()],
        [{**item, "algorithm": ""} for item in listing()],
        [{**item, "hash": "é"} for item in listing()],
    ],
)
def test_a_list_of_files_of_another_form_is_refused(files: Any) -> None:
    refused(with_token(token_of({"files": files})))


@pytest.mark.parametrize("header", [{"crit": ["x"], "x": 1}, {"kid": 7}, {"b64": False, "crit": ["b64"]}])
def test_a_token_with_a_strange_header_is_refused(header: dict[str, Any]) -> None:
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "hmac", **header}).encode()).decode().rstrip("=")
    _, body, mac = token_of({"files": listing()}).split(".")
    refused(with_token(f"{head}.{body}.{mac}"))


@pytest.mark.parametrize(
    ("text", "algorithm"),
    [
        ("short", "HS256"),
        ("s" * 40, "HS512"),
        ("not a key", "ES256"),
        (SECRET, "none"),
        (SECRET, "HS1"),
        (KEYS["rsa"][1].key.reveal(), "ES256"),
        (KEYS["ec"][1].key.reveal(), "ES384"),
        (KEYS["ec"][1].key.reveal(), "HS256"),
        (KEYS["ec"][0].reveal(), "ES256"),
        (public(rsa.generate_private_key(65537, 1024)).reveal(), "RS256"),  # noqa: S505  too short on purpose
    ],
    ids=lambda value: value if len(value) < 10 else "key",
)
def test_a_key_that_does_not_fit_is_refused_before_it_is_needed(text: str, algorithm: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        Signatures(keys={"mine": VerificationKey(Credential(text), algorithm)})
    assert caught.value.where == "policy.signatures.keys.mine"
    told = caught.value.message + caught.value.detail + caught.value.hint
    assert text[:20] not in told


def test_a_public_key_signs_nothing() -> None:
    with pytest.raises(PolicyInvalid):
        sign(FILES, SigningKey("ec", KEYS["ec"][1].key, "ES256"))


# ── beside OPA itself ────────────────────────────────────────────────────────────────────


@needs_opa
@pytest.mark.parametrize("name", ["ec", "rsa", "hmac"])
def test_opa_believes_what_is_signed_here(tmp_path: Path, name: str) -> None:
    data = {"a": 1.5, "text": "ü<\u2028\u0001", "large": 1e300}
    write_bundle(
        Bundle.of({"authz.rego": "package remit.authz\n"}, data), tmp_path / "b.tar.gz", signing=signing(name, "write")
    )
    (tmp_path / "key").write_text(KEYS[name][1].key.reveal())
    verified = ("--verification-key", "key", "--verification-key-id", name, "--signing-alg", KEYS[name][1].algorithm)
    opa("build", "-b", "b.tar.gz", "-o", "out.tar.gz", *verified, "--scope", "write", cwd=tmp_path)
    with pytest.raises(subprocess.CalledProcessError):
        opa("build", "-b", "b.tar.gz", "-o", "out.tar.gz", *verified, "--scope", "read", cwd=tmp_path)


@needs_opa
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.floats(allow_nan=False, allow_infinity=False)
        | st.integers()
        | st.text(st.characters(exclude_categories=["Cs"])),
        max_size=8,
    )
)
@settings(max_examples=10)
def test_data_that_opa_signs_is_believed(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, float | int | str]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "signed"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "remit_data").mkdir(parents=True)
    (folder / "remit_data" / "data.json").write_text(json.dumps(data), encoding="utf-8")
    folder.with_name("secret").write_text(SECRET)
    opa("sign", "-b", ".", "--signing-key", "../secret", "--signing-alg", "HS256", "-o", ".", cwd=folder)
    files = {name: (folder / name).read_bytes() for name in ("remit_data/data.json", SIGNATURES)}
    verify(files, Signatures(keys={"any": KEYS["hmac"][1]}))
