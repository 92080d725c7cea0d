from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit import errors
from remit.credential import UnverifiedToken
from remit.principal import Actor
from remit.tokens.jwks import LiveKeys, StaticKeys
from remit.tokens.verifier import Expectation, TokenVerifier, TrustedIssuer, VerifiedToken
from support.issuer import ABSENT, AUDIENCE, NOW, RS256, FakeIssuer, SigningKey, b64url, es256_key, rs256_key, to_json

IDP = FakeIssuer()
OTHER = FakeIssuer(issuer="https://other.example", name="other")
ROGUE = es256_key("rogue")
EXPECT = Expectation(audiences=frozenset({AUDIENCE}))


class CountingKeys(StaticKeys):
    """Keys that say how often they were asked, which is how often a signature was verified."""

    asked = 0

    async def key(self, kid: str | None, alg: str, *, now: float) -> jwt.PyJWK:
        self.asked += 1
        return await super().key(kid, alg, now=now)


def trusted(idp: FakeIssuer, *algorithms: str, keys: StaticKeys | None = None) -> TrustedIssuer:
    source = keys or StaticKeys(idp.jwks("ES256", RS256))
    return TrustedIssuer(idp.issuer, frozenset(algorithms or {"ES256"}), source)


def verifier(*algorithms: str) -> TokenVerifier:
    return TokenVerifier([trusted(IDP, *algorithms), trusted(OTHER, *algorithms)])


def verify(
    text: str, *, expect: Expectation = EXPECT, now: float = NOW, by: TokenVerifier | None = None
) -> VerifiedToken:
    return asyncio.run((by or verifier()).verify(UnverifiedToken(text), expect, now=now))


def test_a_sound_token_becomes_typed_claims() -> None:
    text = IDP.mint(jti="j1", txn="t1", act={"sub": "orders", "act": {"sub": "agent-runner", "iss": IDP.issuer}})
    token = verify(text)
    assert (token.issuer, token.subject, token.client_id) == (IDP.issuer, "alice", "agent-runner")
    assert (token.audience, token.scopes) == ((AUDIENCE,), ("orders:read", "orders:write"))
    assert token.chain.actors == (Actor("orders"), Actor("agent-runner", IDP.issuer))
    assert (token.issued_at, token.expires_at, token.jti, token.txn) == (NOW, NOW + 300, "j1", "t1")
    assert token.credential.reveal() == text


def test_nothing_of_a_verified_token_that_proves_it_is_shown() -> None:
    text = IDP.mint(email="alice@example.com")
    shown = repr(verify(text))
    assert "alice@example.com" not in shown
    assert not any(part in shown for part in text.split("."))


def test_the_claims_of_a_remembered_token_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        verify(IDP.mint()).claims["sub"] = "admin"  # type: ignore[index]


def forged_with_public_key() -> str:
    """RS256's public key taken as the secret of an HMAC (RFC 8725 §2.1)."""
    public = json.dumps(IDP.key(RS256).jwk()).encode()
    message = (
        f"{b64url(to_json({'typ': 'at+jwt', 'alg': 'HS256', 'kid': 'idp-rs256'}))}.{b64url(to_json(IDP.claims()))}"
    )
    return f"{message}.{b64url(hmac.digest(public, message.encode(), hashlib.sha256))}"


def unsigned(alg: str) -> str:
    return f"{b64url(to_json({'typ': 'at+jwt', 'alg': alg}))}.{b64url(to_json(IDP.claims()))}.AA"


def retold(text: str, **claims: Any) -> str:
    """Other claims under the signature of a sound token."""
    head, _, signature = text.split(".")
    return f"{head}.{b64url(to_json(IDP.claims(**claims)))}.{signature}"


def swapped_signature() -> str:
    return f"{IDP.mint().rsplit('.', 1)[0]}.{IDP.mint().rsplit('.', 1)[1]}"


def named(kid: str) -> SigningKey:
    """The rogue's own key under a trusted name."""
    return SigningKey(kid, "ES256", ROGUE.private, ROGUE.algorithm)


def embedded(member: str, value: object) -> str:
    return IDP.mint(key=ROGUE, header={member: value, "kid": ABSENT})


ATTACKS: dict[str, tuple[str, type[errors.TokenInvalid]]] = {
    # Signature and key
    "alg none": (unsigned("none"), errors.TokenMalformed),
    "alg nOnE": (unsigned("nOnE"), errors.TokenMalformed),
    "public key as HMAC secret": (forged_with_public_key(), errors.TokenMalformed),
    "alg not of this issuer's list": (IDP.mint(key=RS256), errors.SignatureInvalid),
    "header alg ES384 over an ES256 key": (IDP.mint(header={"alg": "ES384"}), errors.SignatureInvalid),
    "header alg ES256 over the kid of an RSA key": (IDP.mint(header={"kid": "idp-rs256"}), errors.SignatureInvalid),
    "unknown kid": (IDP.mint(header={"kid": "nobody"}), errors.SignatureInvalid),
    "empty kid": (IDP.mint(header={"kid": ""}), errors.SignatureInvalid),
    "another key under a trusted kid": (IDP.mint(key=named("idp-es256")), errors.SignatureInvalid),
    "another key without kid": (IDP.mint(key=ROGUE, header={"kid": ABSENT}), errors.SignatureInvalid),
    "another trusted issuer's key": (IDP.mint(key=OTHER.key()), errors.SignatureInvalid),
    "another trusted issuer's name": (IDP.mint(iss=OTHER.issuer), errors.SignatureInvalid),
    "embedded jwk": (embedded("jwk", ROGUE.jwk()), errors.SignatureInvalid),
    "jku": (embedded("jku", "https://rogue.example/jwks"), errors.SignatureInvalid),
    "x5u": (embedded("x5u", "https://rogue.example/cert"), errors.SignatureInvalid),
    "x5c": (embedded("x5c", ["AAAA"]), errors.SignatureInvalid),
    "other claims under the signature": (retold(IDP.mint(), sub="admin"), errors.SignatureInvalid),
    "another token's signature": (swapped_signature(), errors.SignatureInvalid),
    "signature of zeros": (f"{IDP.mint().rsplit('.', 1)[0]}.{'A' * 86}", errors.SignatureInvalid),
    "signature cut short": (f"{IDP.mint().rsplit('.', 1)[0]}.AAAA", errors.SignatureInvalid),
    # Issuer
    "untrusted issuer": (IDP.mint(iss="https://rogue.example"), errors.IssuerUntrusted),
    "issuer with a slash more": (IDP.mint(iss=f"{IDP.issuer}/"), errors.IssuerUntrusted),
    "issuer in capitals": (IDP.mint(iss=IDP.issuer.upper()), errors.IssuerUntrusted),
    "issuer a list": (IDP.mint(iss=[IDP.issuer]), errors.IssuerUntrusted),
    "issuer missing": (IDP.mint(iss=ABSENT), errors.IssuerUntrusted),
    # Kind
    "id token": (IDP.mint(header={"typ": "JWT"}), errors.TokenTypeMismatch),
    "no typ": (IDP.mint(header={"typ": ABSENT}), errors.TokenTypeMismatch),
    "DPoP proof": (IDP.mint(header={"typ": "dpop+jwt"}), errors.TokenTypeMismatch),
    "logout token": (IDP.mint(header={"typ": "logout+jwt"}), errors.TokenTypeMismatch),
    "ID-JAG": (IDP.mint(header={"typ": "oauth-id-jag+jwt"}), errors.TokenTypeMismatch),
    "transaction token": (IDP.mint(header={"typ": "txntoken+jwt"}), errors.TokenTypeMismatch),
    # Audience
    "another audience": (IDP.mint(aud="https://other.example"), errors.AudienceMismatch),
    "audience as a prefix": (IDP.mint(aud=f"{AUDIENCE}/more"), errors.AudienceMismatch),
    "audience list without this one": (IDP.mint(aud=["a", "b"]), errors.AudienceMismatch),
    "audience empty list": (IDP.mint(aud=[]), errors.ClaimInvalid),
    "audience empty string": (IDP.mint(aud=""), errors.ClaimInvalid),
    "audience a dict": (IDP.mint(aud={AUDIENCE: 1}), errors.ClaimInvalid),
    "audience a number": (IDP.mint(aud=1), errors.ClaimInvalid),
    "audience null": (IDP.mint(aud=None), errors.ClaimInvalid),
    "audience list with a number": (IDP.mint(aud=[AUDIENCE, 1]), errors.ClaimInvalid),
    "audience list in a list": (IDP.mint(aud=[[AUDIENCE]]), errors.ClaimInvalid),
    "audience missing": (IDP.mint(aud=ABSENT), errors.ClaimInvalid),
    # Time
    "expired": (IDP.mint(exp=NOW - 31), errors.TokenExpired),
    "expired this second": (IDP.mint(exp=NOW - 30), errors.TokenExpired),
    "exp zero": (IDP.mint(exp=0), errors.TokenExpired),
    "exp a string": (IDP.mint(exp=str(NOW + 300)), errors.ClaimInvalid),
    "exp true": (IDP.mint(exp=True), errors.ClaimInvalid),
    "exp null": (IDP.mint(exp=None), errors.ClaimInvalid),
    "exp a list": (IDP.mint(exp=[NOW + 300]), errors.ClaimInvalid),
    "exp NaN": (IDP.mint(exp=float("nan")), errors.TokenMalformed),
    "exp infinite": (IDP.mint(exp=float("inf")), errors.TokenMalformed),
    "exp negative": (IDP.mint(exp=-1), errors.ClaimInvalid),
    "exp in milliseconds": (IDP.mint(exp=(NOW + 300) * 1000), errors.ClaimInvalid),
    "exp of 19 digits": (IDP.mint(exp=9_223_372_036_854_775_807), errors.ClaimInvalid),
    "exp missing": (IDP.mint(exp=ABSENT), errors.ClaimInvalid),
    "nbf in the future": (IDP.mint(nbf=NOW + 31), errors.TokenNotYetValid),
    "nbf a string": (IDP.mint(nbf=str(NOW)), errors.ClaimInvalid),
    "nbf false": (IDP.mint(nbf=False), errors.ClaimInvalid),
    "iat in the future": (IDP.mint(iat=NOW + 31), errors.TokenNotYetValid),
    "iat a string": (IDP.mint(iat=str(NOW)), errors.ClaimInvalid),
    "iat missing": (IDP.mint(iat=ABSENT), errors.ClaimInvalid),
    # Names
    "sub missing": (IDP.mint(sub=ABSENT), errors.ClaimInvalid),
    "sub null": (IDP.mint(sub=None), errors.ClaimInvalid),
    "sub a number": (IDP.mint(sub=7), errors.ClaimInvalid),
    "sub empty": (IDP.mint(sub=""), errors.ClaimInvalid),
    "sub too long": (IDP.mint(sub="a" * 257), errors.ClaimInvalid),
    "sub too long in bytes": (IDP.mint(sub="é" * 129), errors.ClaimInvalid),
    "sub with a newline": (IDP.mint(sub="alice\nadmin"), errors.ClaimInvalid),
    "sub with a null character": (IDP.mint(sub="alice\x00"), errors.ClaimInvalid),
    "sub with a direction override": (IDP.mint(sub="alice\u202enimda"), errors.ClaimInvalid),
    "sub with half a surrogate pair": (IDP.mint(sub="alice\ud800"), errors.TokenMalformed),
    "jti missing": (IDP.mint(jti=ABSENT), errors.ClaimInvalid),
    "jti a number": (IDP.mint(jti=1), errors.ClaimInvalid),
    "client_id missing": (IDP.mint(client_id=ABSENT), errors.ClaimInvalid),
    "client_id a list": (IDP.mint(client_id=["agent-runner"]), errors.ClaimInvalid),
    "txn an object": (IDP.mint(txn={}), errors.ClaimInvalid),
    # Scope
    "scope a list": (IDP.mint(scope=["orders:read"]), errors.ClaimInvalid),
    "scope null": (IDP.mint(scope=None), errors.ClaimInvalid),
    "scope with two spaces": (IDP.mint(scope="a  b"), errors.ClaimInvalid),
    "scope with a quote": (IDP.mint(scope='a"b'), errors.ClaimInvalid),
    "scp with a token of two": (IDP.mint(scope=ABSENT, scp=["a b"]), errors.ClaimInvalid),
    "scp with a number": (IDP.mint(scope=ABSENT, scp=["a", 1]), errors.ClaimInvalid),
    "scp an object": (IDP.mint(scope=ABSENT, scp={"a": 1}), errors.ClaimInvalid),
    # Chain
    "act a string": (IDP.mint(act="agent-runner"), errors.ClaimInvalid),
    "act null": (IDP.mint(act=None), errors.ClaimInvalid),
    "act without sub": (IDP.mint(act={"iss": IDP.issuer}), errors.ClaimInvalid),
    "act with a number as sub": (IDP.mint(act={"sub": 1}), errors.ClaimInvalid),
    "act with exp": (IDP.mint(act={"sub": "a", "exp": NOW}), errors.ClaimInvalid),
    "act nested nine deep": (
        IDP.mint(act=json.loads('{"sub":"a","act":' * 8 + '{"sub":"a"}' + "}" * 8)),
        errors.ClaimInvalid,
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(name: str) -> None:
    text, error = ATTACKS[name]
    with pytest.raises(errors.TokenInvalid) as refused:
        verify(text)
    assert type(refused.value) is error


@pytest.mark.parametrize("name", ATTACKS)
def test_a_refusal_shows_nothing_of_the_token_and_stays_one_short_line(name: str) -> None:
    text, error = ATTACKS[name]
    with pytest.raises(error) as refused:
        verify(text)
    shown = f"{refused.value.message} {refused.value.detail} {refused.value.hint}"
    assert shown.isprintable()
    assert len(refused.value.message) < 300
    assert text.rsplit(".", 1)[-1] not in shown or len(text.rsplit(".", 1)[-1]) < 10


def test_a_long_or_unprintable_name_is_cut_and_cleaned_in_the_error() -> None:
    with pytest.raises(errors.IssuerUntrusted) as refused:
        verify(IDP.mint(iss="https://rogue.example/\n" + "x" * 500))
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 150


ACCEPTED = {
    "RSA": IDP.mint(key=RS256),
    "no kid and one key that fits": IDP.mint(header={"kid": ABSENT}),
    "typ as a media type in capitals": IDP.mint(header={"typ": "Application/AT+JWT"}),
    "x5t in the header": IDP.mint(header={"x5t": "abc", "x5t#S256": "abc"}),
    "audience list with this one": IDP.mint(aud=["https://other.example", AUDIENCE]),
    "exp with a fraction": IDP.mint(exp=NOW + 0.5),
    "expired within the leeway": IDP.mint(exp=NOW - 29),
    "nbf within the leeway": IDP.mint(nbf=NOW + 30),
    "iat within the leeway": IDP.mint(iat=NOW + 30),
    "no scope": IDP.mint(scope=ABSENT),
    "names of another script": IDP.mint(sub="алиса"),
    "a 64-bit integer in another claim": IDP.mint(employee=9_223_372_036_854_775_807),
    "act eight deep": IDP.mint(act=json.loads('{"sub":"a","act":' * 7 + '{"sub":"a"}' + "}" * 7)),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_unusual_but_sound_token_is_accepted(name: str) -> None:
    assert verify(ACCEPTED[name], by=verifier("ES256", RS256)).issuer == IDP.issuer


@pytest.mark.parametrize(
    ("changes", "scopes"),
    [
        ({"scope": "a b a"}, ("a", "b")),
        ({"scope": ""}, ()),
        ({"scope": ABSENT}, ()),
        ({"scope": ABSENT, "scp": ["a", "b"]}, ("a", "b")),
        ({"scope": ABSENT, "scp": "a b"}, ("a", "b")),
        ({"scope": "a", "scp": ["admin"]}, ("a",)),
    ],
)
def test_scopes_are_read_from_scope_or_scp(changes: dict[str, Any], scopes: tuple[str, ...]) -> None:
    assert verify(IDP.mint(**changes)).scopes == scopes


def test_azp_names_the_client_where_client_id_does_not() -> None:
    expect = Expectation(frozenset({AUDIENCE}), required=frozenset({"sub"}))
    assert verify(IDP.mint(client_id=ABSENT, azp="spa"), expect=expect).client_id == "spa"
    assert verify(IDP.mint(azp="spa"), expect=expect).client_id == "agent-runner"


def test_exp_is_never_optional() -> None:
    with pytest.raises(errors.ClaimInvalid):
        verify(IDP.mint(exp=ABSENT), expect=Expectation(frozenset({AUDIENCE}), required=frozenset()))


def test_a_missing_typ_can_be_allowed_by_name() -> None:
    expect = Expectation(frozenset({AUDIENCE}), typ=frozenset({"jwt", ""}))
    assert verify(IDP.mint(header={"typ": ABSENT}), expect=expect).subject == "alice"
    assert verify(IDP.mint(header={"typ": "JWT"}), expect=expect).subject == "alice"
    with pytest.raises(errors.TokenTypeMismatch):
        verify(IDP.mint(), expect=expect)


def test_expecting_no_audience_accepts_no_token() -> None:
    with pytest.raises(errors.AudienceMismatch):
        verify(IDP.mint(), expect=Expectation(audiences=frozenset()))


def test_a_claim_that_is_required_besides_must_be_there() -> None:
    expect = Expectation(frozenset({AUDIENCE}), required=frozenset({"txn"}))
    with pytest.raises(errors.ClaimInvalid):
        verify(IDP.mint(), expect=expect)
    assert verify(IDP.mint(txn="t"), expect=expect).txn == "t"


def test_a_required_claim_that_is_null_is_missing() -> None:
    expect = Expectation(frozenset({AUDIENCE}), required=frozenset({"groups"}))
    with pytest.raises(errors.ClaimInvalid):
        verify(IDP.mint(groups=None), expect=expect)


def test_a_kid_that_two_issuers_share_does_not_mix_them_up() -> None:
    one, two = es256_key("one"), es256_key("two")
    keys = {
        "https://one.example": SigningKey("shared", one.alg, one.private, one.algorithm),
        "https://two.example": SigningKey("shared", two.alg, two.private, two.algorithm),
    }
    both = TokenVerifier(
        TrustedIssuer(name, frozenset({"ES256"}), StaticKeys({"keys": [key.jwk()]})) for name, key in keys.items()
    )
    for name, key in keys.items():
        assert verify(FakeIssuer(name).mint(key=key), by=both).issuer == name
        other = next(each for each in keys if each != name)
        with pytest.raises(errors.SignatureInvalid):
            verify(FakeIssuer(other).mint(key=key), by=both)


def test_a_token_of_the_wrong_type_or_issuer_or_algorithm_asks_for_no_key() -> None:
    by, keys = counted()
    for text in (IDP.mint(header={"typ": "JWT"}), IDP.mint(iss="https://rogue.example"), IDP.mint(key=RS256)):
        with pytest.raises(errors.TokenInvalid):
            verify(text, by=by)
    assert keys.asked == 0


def test_a_weak_rsa_key_is_no_key() -> None:
    weak = rs256_key("weak", 1024)
    with pytest.raises(errors.SettingsInvalid):
        StaticKeys({"keys": [weak.jwk()]})


# ── what is remembered ───────────────────────────────────────────────────────────────────


def counted(*algorithms: str, size: int = 4096) -> tuple[TokenVerifier, CountingKeys]:
    keys = CountingKeys(IDP.jwks("ES256", RS256))
    return TokenVerifier([trusted(IDP, *algorithms, keys=keys)], cache_size=size), keys


def test_a_signature_is_verified_once() -> None:
    by, keys = counted()
    text = IDP.mint()
    assert verify(text, by=by) is verify(text, by=by)
    assert keys.asked == 1


def test_a_remembered_token_still_expires() -> None:
    by, _ = counted()
    text = IDP.mint()
    verify(text, by=by, now=NOW)
    with pytest.raises(errors.TokenExpired):
        verify(text, by=by, now=NOW + 331)


def test_a_remembered_token_is_still_refused_for_another_audience_type_or_claim() -> None:
    by, keys = counted()
    text = IDP.mint()
    verify(text, by=by)
    for expect, error in [
        (Expectation(frozenset({"https://other.example"})), errors.AudienceMismatch),
        (Expectation(frozenset({AUDIENCE}), typ=frozenset({"jwt"})), errors.TokenTypeMismatch),
        (Expectation(frozenset({AUDIENCE}), required=frozenset({"txn"})), errors.ClaimInvalid),
    ]:
        with pytest.raises(error):
            verify(text, by=by, expect=expect)
    assert keys.asked == 1


def test_a_remembered_token_is_not_accepted_before_its_time() -> None:
    by, _ = counted()
    text = IDP.mint(nbf=NOW)
    verify(text, by=by, now=NOW)
    with pytest.raises(errors.TokenNotYetValid):
        verify(text, by=by, now=NOW - 100)


@pytest.mark.parametrize(("seconds", "asked"), [(599, 1), (600, 2), (-1, 2)])
def test_the_memory_lasts_ten_minutes_and_not_into_the_past(seconds: int, asked: int) -> None:
    by, keys = counted()
    text = IDP.mint(exp=NOW + 3600, iat=NOW - 60)
    verify(text, by=by, now=NOW)
    verify(text, by=by, now=NOW + seconds)
    assert keys.asked == asked


def test_what_was_verified_with_keys_that_are_withdrawn_is_refused_at_once() -> None:
    published = {"keys": [IDP.key().jwk(), ROGUE.jwk()]}
    by = TokenVerifier([TrustedIssuer(IDP.issuer, frozenset({"ES256"}), LiveKeys(lambda: dict(published)))])
    text, other = IDP.mint(), IDP.mint(key=ROGUE)
    assert verify(text, by=by).subject == verify(other, by=by).subject == "alice"
    published["keys"] = [IDP.key().jwk()]
    assert verify(text, by=by).subject == "alice"
    with pytest.raises(errors.SignatureInvalid):
        verify(other, by=by)
    published["keys"] = []
    with pytest.raises(errors.KeysUnavailable):
        verify(text, by=by)


def test_a_token_past_exp_is_verified_anew_even_within_the_leeway() -> None:
    by, keys = counted()
    text = IDP.mint()
    verify(text, by=by, now=NOW)
    verify(text, by=by, now=NOW + 310)
    assert keys.asked == 2


def test_the_memory_is_bounded_and_forgets_the_least_recently_used() -> None:
    by, keys = counted(size=2)
    first, second, third = IDP.mint(), IDP.mint(), IDP.mint()
    for text in (first, second, first, third):
        verify(text, by=by)
    assert keys.asked == 3
    verify(first, by=by)
    assert keys.asked == 3
    verify(second, by=by)
    assert keys.asked == 4


def test_a_refused_token_is_not_remembered() -> None:
    by, keys = counted()
    text = IDP.mint(key=named("idp-es256"))
    for _ in range(2):
        with pytest.raises(errors.SignatureInvalid):
            verify(text, by=by)
    assert keys.asked == 2


def test_other_rules_remember_nothing_of_what_was_verified_before() -> None:
    text = IDP.mint()
    verify(text)
    with pytest.raises(errors.SignatureInvalid):
        verify(text, by=counted(RS256)[0])


# ── every single character counts ────────────────────────────────────────────────────────

ANY = IDP.mint(act={"sub": "agent-runner"})
BY = verifier()


@settings(max_examples=300)
@given(
    st.integers(0, len(ANY) - 1),
    st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n") | st.characters(),
)
def test_a_token_with_one_character_changed_is_refused(place: int, character: str) -> None:
    changed = ANY[:place] + character + ANY[place + 1 :]
    if changed == ANY:
        assert verify(changed, by=BY).subject == "alice"
        return
    with pytest.raises(errors.TokenInvalid):
        verify(changed, by=BY)


@given(
    st.dictionaries(
        st.sampled_from(
            ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "azp", "scope", "scp", "act", "txn"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(NOW + 100),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["sub", "act", "iss"]), inner),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_signed_claims_of_any_value_are_typed_or_refused(changes: dict[str, Any]) -> None:
    try:
        token = verify(IDP.mint(**changes), by=BY)
    except errors.TokenInvalid:
        return
    assert token.subject.isprintable()
    assert isinstance(token.expires_at, int)


# ── setting up ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("algorithms", [set(), {"none"}, {"HS256"}, {"ES256", "HS256"}, {"nonsense"}])
def test_an_issuer_is_not_trusted_with_an_algorithm_that_proves_nothing(algorithms: set[str]) -> None:
    with pytest.raises(errors.SettingsInvalid):
        TrustedIssuer(IDP.issuer, frozenset(algorithms), StaticKeys(IDP.jwks()))


def test_an_issuer_is_trusted_under_one_set_of_rules() -> None:
    with pytest.raises(errors.SettingsInvalid):
        TokenVerifier([trusted(IDP), trusted(IDP, RS256)])


def test_an_issuer_needs_a_name() -> None:
    with pytest.raises(errors.SettingsInvalid):
        TrustedIssuer("", frozenset({"ES256"}), StaticKeys(IDP.jwks()))
