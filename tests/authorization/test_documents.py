from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit import oauth
from remit.authorization.addresses import is_public, is_public_or_local
from remit.authorization.client import SignInClient, Source
from remit.authorization.document import check_document_url, read_document, read_registration
from remit.authorization.documents import ClientDocuments, client_for_strangers
from remit.errors import GrantUnavailable, InvalidClient, InvalidClientMetadata, InvalidRedirectUri
from remit.principal import Assurance
from remit.web import http_client
from support.client_documents import DocumentHost, Reply
from support.clock import FakeClock
from support.issuer import es256_key

URL = "https://tool.example.com/client.json"
SOUND: dict[str, Any] = {"client_id": URL, "client_name": "Tool", "redirect_uris": ["http://127.0.0.1/callback"]}
KEYS = {"keys": [es256_key("tool").jwk()]}


def document(url: str = URL, **changes: Any) -> SignInClient:
    members = {**SOUND, "client_id": url, **changes}
    return read_document(url, json.dumps({k: v for k, v in members.items() if v is not ...}).encode())


# ── addresses ──


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8"]
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.31.255.255",
        "192.168.0.1",
        "192.0.0.8",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::808:808",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "3fff::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "5f00::1",
        "localhost",
        "2130706433",
        "127.1",
        "",
    ],
)
def test_an_address_of_somebodys_own_network_or_of_nobody_is_not_public(address: str) -> None:
    assert not is_public(address)


def test_private_networks_can_be_let_in_but_never_what_is_nobodys() -> None:
    assert all(map(is_public_or_local, ("127.0.0.1", "::1", "10.0.0.1", "192.168.7.7", "fd00::1", "::ffff:10.0.0.1")))
    nobodys = ("169.254.169.254", "224.0.0.1", "0.0.0.0", "fe80::1", "::ffff:169.254.169.254")  # noqa: S104
    assert not any(map(is_public_or_local, nobodys))


@given(st.ip_addresses(v=4))
def test_an_address_is_worth_what_the_ipv4_address_in_it_is(address: ipaddress.IPv4Address) -> None:
    assert not is_public(str(address)) or address.is_global
    number = int(address)
    carriers = (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80)
    assert {is_public(str(ipaddress.IPv6Address(each))) for each in carriers} == {is_public(str(address))}


@given(st.ip_addresses(v=6))
def test_what_python_takes_for_special_is_not_public(address: ipaddress.IPv6Address) -> None:
    special = address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
    assert not (special and is_public(str(address)))


# ── the URL ──


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "https://tool.example.com:8443/a/b~c/%41",
        "https://TOOL.example.org/client",
        "https://xn--bcher-kva.example/c",
        "https://localhost/c",
        "https://tool.example.com/c/",
    ],
)
def test_a_url_with_a_path_is_a_clients_id(url: str) -> None:
    assert check_document_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://tool.example.com/c",
        "https://tool.example.com",
        "https://tool.example.com/",
        "https://tool.example.com/c?x=1",
        "https://tool.example.com/c?",
        "https://tool.example.com/c#x",
        "https://tool.example.com/c#",
        "https://user@tool.example.com/c",
        "https://:pw@tool.example.com/c",
        "https://@tool.example.com/c",
        "https://tool.example.com/../c",
        "https://tool.example.com/./c",
        "https://tool.example.com/%2e%2E/c",
        "https://tool.example.com/.%2e/c",
        "https://tool.example.com/a/..",
        "https://tool.example.com\\c/d",
        "https://tool.example.com/c d",
        "https://tool.example.com/%zz",
        "https://tool.example.com:0/c",
        "https://tool.example.com:99999/c",
        "https://tool.example.com:x/c",
        "https://tool.example.com:/c",
        "https://tool.example.com:0443/c",
        "https://tool.example.com./c",
        "https://127.0.0.1/c",
        "https://2130706433/c",
        "https://0x7f.1/c",
        "https://[::1]/c",
        "https:///c",
        "https://tööl.example/c",
        "https://tool.example.com/\n",
        f"https://tool.example.com/{'c' * 250}",
    ],
)
def test_a_url_with_another_reading_is_not(url: str) -> None:
    with pytest.raises(InvalidClient):
        check_document_url(url)


def test_only_listed_hosts_are_admitted_where_there_is_a_list() -> None:
    assert check_document_url(URL, ("tool.example.com",)) == "tool.example.com"
    for url in ("https://example.com/c", "https://evil.tool.example.com/c", "https://tool.example.com.evil.net/c"):
        with pytest.raises(InvalidClient, match="not admitted"):
            check_document_url(url, ("tool.example.com",))


@given(st.text())
def test_no_url_does_anything_but_pass_or_be_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://tool.example.com/{text}"):
        try:
            assert check_document_url(url).isascii()
        except InvalidClient:
            continue


# ── the document ──


def test_a_document_says_what_its_client_is() -> None:
    client = document(client_uri="https://tool.example.com/about", scope="a b", logo_uri="https://x", contacts=["me"])
    assert client == SignInClient(
        URL,
        "Tool",
        Source.METADATA_DOCUMENT,
        ("http://127.0.0.1/callback",),
        client_uri="https://tool.example.com/about",
    )
    assert client.assurance is Assurance.REGISTERED


def test_a_client_with_a_key_proves_itself_and_may_bring_identity_assertions() -> None:
    grants = [oauth.GRANT_JWT_BEARER, oauth.GRANT_AUTHORIZATION_CODE, "client_credentials"]
    by_uri = document(
        token_endpoint_auth_method="private_key_jwt",
        jwks_uri="https://tool.example.com/keys",
        grant_types=grants,
    )
    assert (by_uri.jwks_uri, by_uri.jwks) == ("https://tool.example.com/keys", None)
    assert by_uri.grants == {oauth.GRANT_JWT_BEARER, oauth.GRANT_AUTHORIZATION_CODE}
    assert by_uri.assurance is Assurance.AUTHENTICATED
    assert document(token_endpoint_auth_method="private_key_jwt", jwks=KEYS).jwks == KEYS
    public = document(grant_types=grants)
    assert public.grants == {oauth.GRANT_AUTHORIZATION_CODE}


def test_a_name_is_one_line_that_is_what_it_looks() -> None:
    assert document(client_name=" Tool\u202e\x00\n loo\u200bT ").name == "Tool loo T"
    assert len(document(client_name="x" * 500).name) == 80
    assert document(client_name=...).name == document(client_name="\u200b").name == "tool.example.com"


def test_a_page_about_the_client_counts_only_from_its_own_host() -> None:
    for uri in ("https://elsewhere.example/about", "javascript:alert(1)", "http://tool.example.com/", 7, None):
        assert document(client_uri=uri).client_uri == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "https://tool.example.com/Client.json"},
        {"client_id": ...},
        {"client_secret": "x"},
        {"client_secret_expires_at": 0},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"token_endpoint_auth_method": "client_secret_post"},
        {"token_endpoint_auth_method": "client_secret_jwt"},
        {"token_endpoint_auth_method": "tls_client_auth"},
        {"token_endpoint_auth_method": ["none"]},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": []}},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": KEYS["keys"] * 2}},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": KEYS, "jwks_uri": "https://tool.example.com/keys"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://elsewhere.example/keys"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://tool.example.com:444/keys"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://tool.example.com/keys"},
        {"redirect_uris": ...},
        {"redirect_uris": []},
        {"redirect_uris": "https://tool.example.com/back"},
        {"redirect_uris": [f"https://tool.example.com/{number}" for number in range(21)]},
        {"redirect_uris": [7]},
        {"grant_types": ["implicit"]},
        {"grant_types": "authorization_code"},
        {"client_name": 7},
    ],
)
def test_a_document_that_breaks_a_rule_makes_no_client(changes: dict[str, Any]) -> None:
    members = {k: v for k, v in {**SOUND, **changes}.items() if v is not ...}
    with pytest.raises(InvalidClient, match="document cannot be used"):
        read_document(URL, json.dumps(members).encode())


@pytest.mark.parametrize(
    "uri",
    [
        "https://tool.example.com/back",
        "https://elsewhere.example/back?x=1",
        "http://127.0.0.1/cb",
        "http://[::1]:8080/cb",
        "http://localhost:33418",
        "com.example.app:/callback",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "vscode://vscode.github-authentication/did-authenticate",
    ],
)
def test_a_code_may_go_to_a_site_to_this_machine_or_to_an_app(uri: str) -> None:
    assert document(redirect_uris=[uri]).redirect_uris == (uri,)


@pytest.mark.parametrize(
    "uri",
    [
        "http://tool.example.com/back",
        "http://127.0.0.1.evil.example/cb",
        "https://tool.example.com/back#x",
        "https://user@tool.example.com/back",
        "https://tool.example.com\\@evil.example/",
        "https:///back",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "vbscript:x",
        "myapp://callback",
        "urn:ietf:wg:oauth:2.0:oob",
        "//tool.example.com/back",
        "/back",
        "",
        "https://tool.example.com/ba ck",
    ],
)
def test_a_code_goes_nowhere_else(uri: str) -> None:
    with pytest.raises(InvalidClient):
        document(redirect_uris=["https://tool.example.com/back", uri])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"client_id": "%s", "client_id": "x"}' % URL.encode(),
        b'{"a": NaN}',
        b"[" * 100_000,
        b"\xff\xfe",
        json.dumps({**SOUND, "x": [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}).encode(),
    ],
)
def test_what_is_not_strict_json_is_no_document(body: bytes) -> None:
    with pytest.raises(InvalidClient):
        read_document(URL, body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_MEMBERS = (
    "client_name",
    "redirect_uris",
    "grant_types",
    "token_endpoint_auth_method",
    "jwks",
    "jwks_uri",
    "client_uri",
)


@given(st.dictionaries(st.sampled_from(_MEMBERS), _JSON))
def test_no_document_does_anything_but_pass_or_be_refused(changes: dict[str, Any]) -> None:
    body = json.dumps({**SOUND, **changes}).encode()
    with suppress(InvalidClient):
        assert read_document(URL, body).auth_method in {"none", "private_key_jwt"}
    with suppress(InvalidClientMetadata, InvalidRedirectUri):
        read_registration(body)


# ── fetching ──


def play(act: Callable[[DocumentHost, ClientDocuments, FakeClock], Awaitable[None]], *, local: bool = True) -> None:
    async def main() -> None:
        clock = FakeClock()
        async with DocumentHost() as host:
            documents = ClientDocuments(client_for_strangers(local=local, tls=host.trust), clock)
            try:
                await act(host, documents, clock)
            finally:
                await documents.close()

    asyncio.run(main())


def test_a_document_is_fetched_over_tls_and_kept_as_long_as_it_says() -> None:
    async def act(host: DocumentHost, documents: ClientDocuments, clock: FakeClock) -> None:
        url = host.publish(cache_control="max-age=300")
        assert (await documents.find(url)).client_id == url
        assert f"Host: localhost:{host.port}".lower() in host.heads[0].lower()
        assert "cookie" not in host.heads[0].lower()
        host.publish(client_name="Renamed")
        clock.advance(299)
        assert (await documents.find(url)).name == "Tool"
        clock.advance(1)
        assert (await documents.find(url)).name == "Renamed"
        assert len(host.asked) == 2

    play(act)


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [("no-store", 60), ("max-age=1", 60), ("max-age=999999999", 86_400), ("", 3600), ("max-age=nonsense", 3600)],
)
def test_how_long_a_document_is_kept_has_bounds(cache_control: str, seconds: int) -> None:
    async def act(host: DocumentHost, documents: ClientDocuments, clock: FakeClock) -> None:
        url = host.publish(cache_control=cache_control)
        await documents.find(url)
        clock.advance(seconds - 1)
        await documents.find(url)
        assert len(host.asked) == 1
        clock.advance(1)
        await documents.find(url)
        assert len(host.asked) == 2

    play(act)


def test_all_who_want_a_document_at_once_share_one_request() -> None:
    async def act(host: DocumentHost, documents: ClientDocuments, _: FakeClock) -> None:
        url = host.publish()
        host.replies["/client.json"].wait = go = asyncio.Event()
        impatient, *others = [asyncio.create_task(documents.find(url)) for _ in range(20)]
        while not host.asked:
            await asyncio.sleep(0)
        impatient.cancel()
        go.set()
        assert {client.name for client in await asyncio.gather(*others)} == {"Tool"}
        assert len(host.asked) == 1

    play(act)


def test_nothing_is_sent_to_an_address_of_ones_own_network() -> None:
    async def act(host: DocumentHost, documents: ClientDocuments, _: FakeClock) -> None:
        with pytest.raises(GrantUnavailable, match="cannot be fetched"):
            await documents.find(host.publish())
        assert host.connections == 0

    play(act, local=False)


def test_the_very_address_that_is_connected_to_is_checked() -> None:
    """A name that means another address a moment later (DNS rebinding) gets nobody anywhere."""

    async def main() -> None:
        async with DocumentHost() as host:
            admitted, seen = {"127.0.0.1"}, set[str]()

            def admits(address: str) -> bool:
                seen.add(address)
                return address in admitted

            documents = ClientDocuments(http_client(admits=admits, tls=host.trust), FakeClock())
            await documents.find(host.publish("/a.json"))
            admitted.clear()
            with pytest.raises(GrantUnavailable):
                await documents.find(host.publish("/b.json"))
            assert seen <= {"127.0.0.1", "::1"}
            assert host.asked == ["/a.json"]
            await documents.close()

    asyncio.run(main())


def test_a_certificate_of_nobody_known_is_not_trusted() -> None:
    async def main() -> None:
        async with DocumentHost() as host:
            documents = ClientDocuments(client_for_strangers(local=True), FakeClock())
            with pytest.raises(GrantUnavailable):
                await documents.find(host.publish())
            assert host.asked == []
            await documents.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"", 302, {"Location": "/other.json"}),
        Reply(json.dumps(SOUND).encode(), 201),
        Reply(b"{}", 404),
        Reply(json.dumps(SOUND).encode(), headers={"Content-Type": "text/html"}),
        Reply(json.dumps(SOUND).encode(), headers={}),
        Reply(b" " * (16 * 1024 + 1)),
        Reply(b"x" * 100, headers={"Content-Type": "application/json", "Content-Encoding": "gzip, gzip"}),
    ],
)
def test_what_is_no_document_makes_no_client_and_is_not_kept(reply: Reply) -> None:
    async def act(host: DocumentHost, documents: ClientDocuments, _: FakeClock) -> None:
        host.publish("/other.json")
        host.replies["/client.json"] = reply
        with pytest.raises(InvalidClient):
            await documents.find(host.url("/client.json"))
        assert "/other.json" not in host.asked
        assert (await documents.find(host.publish())).name == "Tool"

    play(act)


@pytest.mark.parametrize("status", [201, 203, 206, 302, 404, 410])
def test_a_document_counts_only_where_it_was_found_as_it_is(status: int) -> None:
    async def act(host: DocumentHost, documents: ClientDocuments, _: FakeClock) -> None:
        url = host.publish()
        host.replies["/client.json"].status = status
        with pytest.raises(InvalidClient, match="there is no metadata document"):
            await documents.find(url)

    play(act)


def test_a_document_may_be_of_a_kind_of_json() -> None:
    async def act(host: DocumentHost, documents: ClientDocuments, _: FakeClock) -> None:
        url = host.publish()
        host.replies["/client.json"].headers = {"Content-Type": "application/client+json; charset=utf-8"}
        assert (await documents.find(url)).name == "Tool"

    play(act)


def test_a_host_that_does_not_answer_for_a_while_keeps_its_client() -> None:
    async def act(host: DocumentHost, documents: ClientDocuments, clock: FakeClock) -> None:
        url = host.publish(cache_control="max-age=60")
        await documents.find(url)
        host.replies["/client.json"].status = 503
        clock.advance(60 + 3599)
        assert (await documents.find(url)).name == "Tool"
        clock.advance(1)
        with pytest.raises(GrantUnavailable):
            await documents.find(url)

    play(act)


def test_a_document_that_was_taken_away_ends_its_client_at_once() -> None:
    async def act(host: DocumentHost, documents: ClientDocuments, clock: FakeClock) -> None:
        url = host.publish(cache_control="max-age=60")
        await documents.find(url)
        del host.replies["/client.json"]
        clock.advance(60)
        with pytest.raises(InvalidClient):
            await documents.find(url)

    play(act)


def test_one_host_is_not_asked_too_often() -> None:
    async def act(host: DocumentHost, documents: ClientDocuments, clock: FakeClock) -> None:
        for number in range(10):
            with pytest.raises(InvalidClient):
                await documents.find(host.url(f"/{number}"))
        with pytest.raises(GrantUnavailable, match="too often"):
            await documents.find(host.publish())
        assert len(host.asked) == 10
        clock.advance(60)
        assert (await documents.find(host.publish())).name == "Tool"

    play(act)
