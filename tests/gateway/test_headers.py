"""Header fields: what passes, what ends at the gateway, in either direction."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.authorization.cookies import Cookies
from remit.credential import Credential
from remit.doors.gateway.headers import FieldsRefused, Origin, body_length, request_fields, response_fields
from remit.doors.gateway.leak import TokenRepeated, TokenWatch
from support.company import Document
from support.gateway import Scripted, gateway, values

ORIGIN = Origin("192.0.2.7", "https", "gate.example")
OWN_COOKIES = [
    cookie
    for pages in map(Cookies.of, ("https://remit.example", "http://127.0.0.1:8700"))
    for cookie in (pages.session, pages.browser)
]
STOPPED_ON_THE_WAY_THERE = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "expect",
    "accept-encoding",
    "content-length",
    "forwarded",
    "via",
    "x-real-ip",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-uri",
    "x-forwarded-client-cert",
    "x-request-id",
    "x-remit-subject",
    "x-remit-actor",
    "x-remit-anything",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "true-client-ip",
    "x-client-ip",
    "cf-connecting-ip",
    "x-original-host",
    "x-rewrite-url",
    "x_remit_subject",
    "x_forwarded_for",
    "http_authorization",
]
STOPPED_ON_THE_WAY_BACK = [
    "authorization",
    "set-cookie",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "www-authenticate",
    "authentication-info",
    "transfer-encoding",
    "trailer",
    "upgrade",
    "alt-svc",
    "date",
    "server",
    "x-request-id",
    "x-remit-subject",
]
NAMES = st.sampled_from([*STOPPED_ON_THE_WAY_THERE, *STOPPED_ON_THE_WAY_BACK, "accept", "x-own", "content-type"])
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20).map(str.encode)


@pytest.mark.parametrize("name", STOPPED_ON_THE_WAY_THERE)
def test_a_field_that_would_mislead_an_api_does_not_reach_it(name: str) -> None:
    for spelled in (name, name.title(), name.upper()):
        fields = request_fields([(spelled.encode(), b"forged"), (b"accept", b"*/*")], ORIGIN, cookies=False)
        assert "forged" not in dict(fields).values()
        assert ("accept", "*/*") in fields


@pytest.mark.parametrize("name", STOPPED_ON_THE_WAY_BACK)
def test_a_field_that_is_not_the_callers_does_not_come_back(name: str) -> None:
    fields = response_fields([(name.encode(), b"inner"), (b"etag", b'"1"')], cookies=False)
    assert fields == [(b"etag", b'"1"')]


def test_fields_that_connection_names_end_here() -> None:
    raw = [(b"connection", b"close, X-Hop"), (b"connection", b"x-other"), (b"x-hop", b"1"), (b"x-other", b"2")]
    assert all(name.startswith("x-forwarded-") for name, _ in request_fields(raw, ORIGIN, cookies=False))
    assert response_fields(raw, cookies=False) == []


def test_connection_cannot_name_away_what_the_gateway_says() -> None:
    raw = [(b"connection", b"x-forwarded-for, authorization")]
    assert ("x-forwarded-for", "192.0.2.7") in request_fields(raw, ORIGIN, cookies=False)


def test_where_a_request_came_from_is_written_anew() -> None:
    fields = dict(request_fields([(b"x-forwarded-for", b"10.0.0.1")], ORIGIN, cookies=False))
    assert (fields["x-forwarded-for"], fields["x-forwarded-proto"], fields["x-forwarded-host"]) == (
        "192.0.2.7",
        "https",
        "gate.example",
    )


def test_cookies_pass_where_a_route_says_so() -> None:
    assert ("cookie", "a=b") in request_fields([(b"cookie", b"a=b")], ORIGIN, cookies=True)
    assert response_fields([(b"set-cookie", b"a"), (b"set-cookie", b"b")], cookies=True) == [
        (b"set-cookie", b"a"),
        (b"set-cookie", b"b"),
    ]


@pytest.mark.parametrize("own", [cookie.name for cookie in OWN_COOKIES])
def test_the_cookies_of_the_sign_in_pages_never_pass(own: str) -> None:
    for sent, passed in ((f"a=b; {own}=x; c=d", ["a=b; c=d"]), (f"{own}=x", []), (f"{own.upper()}=x;a=b", ["a=b"])):
        fields = request_fields([(b"cookie", sent.encode())], ORIGIN, cookies=True)
        assert [value for name, value in fields if name == "cookie"] == passed
    answer = [(b"Set-Cookie", f" {own}=x; Path=/".encode()), (b"set-cookie", b"a=b")]
    assert response_fields(answer, cookies=True) == [(b"set-cookie", b"a=b")]


def test_a_field_that_comes_twice_stays_twice() -> None:
    raw = [(b"accept", b"a"), (b"accept", b"b")]
    assert request_fields(raw, ORIGIN, cookies=False)[:2] == [("accept", "a"), ("accept", "b")]


@pytest.mark.parametrize(
    "raw",
    [
        [(b"a", b"1")] * 101,
        [(b"a b", b"1")],
        [(b"a", b"1\r\nx: 2")],
        [(b"a", b"1\x00")],
        [(b"", b"1")],
        [(b"a" * 200, b"1")],
    ],
)
def test_fields_that_are_none_are_refused(raw: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(FieldsRefused):
        request_fields(raw, ORIGIN, cookies=False)
    with pytest.raises(FieldsRefused):
        response_fields(raw, cookies=False)


def test_a_value_that_is_not_utf8_is_refused_on_the_way_there_and_passes_back() -> None:
    with pytest.raises(FieldsRefused):
        request_fields([(b"x-own", b"\xe9")], ORIGIN, cookies=False)
    assert response_fields([(b"x-own", b"\xe9")], cookies=False) == [(b"x-own", b"\xe9")]


@given(st.lists(st.tuples(NAMES.map(str.encode), VALUES), max_size=20))
def test_whatever_comes_no_stopped_field_passes(raw: list[tuple[bytes, bytes]]) -> None:
    there = [name for name, _ in request_fields(raw, ORIGIN, cookies=False)]
    back = [name.decode() for name, _ in response_fields(raw, cookies=False)]
    assert set(there) & set(STOPPED_ON_THE_WAY_THERE) <= {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}
    assert len([name for name in there if name.startswith("x-forwarded-")]) == 3
    assert not set(back) & set(STOPPED_ON_THE_WAY_BACK)


@pytest.mark.parametrize(
    ("raw", "length"),
    [
        ([], 0),
        ([(b"content-length", b"12")], 12),
        ([(b"transfer-encoding", b"chunked")], None),
        ([(b"transfer-encoding", b"Chunked")], None),
    ],
)
def test_a_body_ends_where_one_field_says(raw: list[tuple[bytes, bytes]], length: int | None) -> None:
    assert body_length(raw) == length


@pytest.mark.parametrize(
    "raw",
    [
        [(b"content-length", b"1"), (b"content-length", b"1")],
        [(b"content-length", b"1"), (b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"gzip, chunked")],
        [(b"transfer-encoding", b"xchunked")],
        [(b"content-length", b"+1")],
        [(b"content-length", b"1, 1")],
        [(b"content-length", b"-1")],
        [(b"content-length", b"9" * 30)],
    ],
)
def test_two_ways_to_end_a_body_are_refused(raw: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(FieldsRefused):
        body_length(raw)


# ── the token in an answer ───────────────────────────────────────────────────────────────


@given(st.binary(max_size=60), st.lists(st.integers(1, 7), max_size=40))
def test_a_body_without_the_token_passes_whole(body: bytes, sizes: list[int]) -> None:
    watch = TokenWatch(Credential("eyJ.token"))
    if b"eyJ.token" in body:
        return
    parts, rest = [], body
    for size in [*sizes, len(body) + 1]:
        part, rest = rest[:size], rest[size:]
        parts.append(watch.let(part))
    assert b"".join([*parts, watch.rest()]) == body


@given(st.binary(max_size=20), st.binary(max_size=20), st.integers(1, 9))
def test_not_one_byte_of_the_token_passes_however_it_is_cut(before: bytes, after: bytes, size: int) -> None:
    watch, body = TokenWatch(Credential("eyJ.token")), before + b"eyJ.token" + after
    passed: list[bytes] = []
    parts = (body[at : at + size] for at in range(0, len(body), size))
    with pytest.raises(TokenRepeated):
        passed.extend(watch.let(part) for part in parts)
    assert len(b"".join(passed)) <= len(before)


# ── from end to end ──────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_no_credential_crosses_in_either_direction(tmp_path: Path) -> None:
    headers = [(b"set-cookie", b"session=inner"), (b"authorization", b"Bearer inner"), (b"x-own", b"passes")]
    async with gateway(tmp_path, api=(api := Scripted(headers=headers))) as gate:
        token = gate.token()
        sent = {"Authorization": f"Bearer {token}", "Cookie": "session=outer", "Proxy-Authorization": "Basic b3V0ZXI="}
        answer = await gate.http.get("/orders/1", headers={**sent, "X-Remit-Subject": "mallory"})
    got = b"".join(name + value for name, value in api.seen[0]["headers"])
    assert token.encode() not in got
    assert b"outer" not in got
    assert b"mallory" not in got
    assert (answer.headers["x-own"], answer.text) == ("passes", "{}")
    assert "inner" not in str(answer.headers)


@pytest.mark.anyio
@pytest.mark.parametrize("where", ["body", "header"])
async def test_an_api_that_repeats_its_token_is_not_heard(tmp_path: Path, where: str) -> None:
    async def repeat(scope: object, receive: object, send: object) -> None:
        token = dict(scope["headers"])[b"authorization"]  # type: ignore[index]
        fields = [(b"x-echo", token)] if where == "header" else []
        await send({"type": "http.response.start", "status": 200, "headers": fields})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"you sent " + token + b"!"})  # type: ignore[operator]

    async with gateway(tmp_path, api=(api := Scripted(handle=repeat))) as gate:
        raw = await gate.raw("GET /orders/1 HTTP/1.1", "Host: 127.0.0.1")
        recorded = await gate.last()
    token = dict(api.seen[0]["headers"])[b"authorization"].split()[1]
    assert token not in raw
    assert token[:20] not in raw
    assert not raw.endswith(b"0\r\n\r\n")
    assert (recorded["outcome"], recorded["error"]["code"]) == ("failure", "response_unusable")


@pytest.mark.anyio
async def test_a_client_cannot_say_where_it_comes_from(tmp_path: Path) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "Forwarded": "for=203.0.113.9"}
    async with gateway(tmp_path) as gate:
        seen = (await gate.request("GET", "/orders/1", headers=forged)).json()
    assert values(seen, "x-forwarded-for") == ["127.0.0.1"]
    assert values(seen, "x-forwarded-proto") == ["http"]
    assert values(seen, "forwarded") == []
    assert values(seen, "host") == [gate.api_url.removeprefix("http://")]
    assert values(seen, "x-forwarded-host") == [gate.url.removeprefix("http://")]
    assert len(values(seen, "x-request-id")) == 1


@pytest.mark.anyio
async def test_cookies_pass_on_a_route_that_lets_them(tmp_path: Path) -> None:
    def let(document: Document) -> None:
        document["gateway"]["routes"][0]["cookies"] = True

    api = Scripted(headers=[(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")])
    async with gateway(tmp_path, api=api, change=let) as gate:
        answer = await gate.request("GET", "/orders/1", headers={"Cookie": "c=3"})
    assert dict(api.seen[0]["headers"])[b"cookie"] == b"c=3"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
