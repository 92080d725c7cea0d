from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remit import oauth
from remit.authorization.client import LOGIN_CLIENT, SignInClient, Source
from remit.authorization.client_authentication import SignInClients
from remit.authorization.directory import Directory
from remit.authorization.documents import ClientDocuments, client_for_strangers
from remit.authorization.file import AuthorizationsFile
from remit.errors import InvalidClient
from remit.exchange.client_auth import PrivateKeyJwt
from remit.principal import Assurance
from support.client_documents import DocumentHost, Reply
from support.clock import FakeClock
from support.issuer import es256_key, to_json

ISSUER = "https://remit.example.com"
DESK = SignInClient("desk", "Desk", Source.SETTINGS, ("https://desk.example.com/back",))


@pytest.fixture
def file(tmp_path: Path) -> Iterator[AuthorizationsFile]:
    file = AuthorizationsFile(tmp_path / "authorizations.db", FakeClock())
    yield file
    file.close()


def test_the_settings_go_before_everything_else(file: AuthorizationsFile) -> None:
    url = "https://tool.example.org/client.json"
    configured = {"desk": DESK, url: DESK, "dynamic.desk": DESK, LOGIN_CLIENT: DESK}
    directory = Directory(configured, file)
    for client_id in configured:
        assert asyncio.run(directory.find(client_id)) is DESK


def test_the_client_of_remit_login_is_always_there(file: AuthorizationsFile) -> None:
    client = asyncio.run(Directory({}, file).find(LOGIN_CLIENT))
    assert client is not None
    assert (client.is_public, client.assurance) == (True, Assurance.REGISTERED)
    assert client.redirects_to("http://127.0.0.1:49152/callback")
    assert not client.redirects_to("http://127.0.0.1:49152/other")
    assert client.grants == {oauth.GRANT_AUTHORIZATION_CODE, oauth.GRANT_REFRESH_TOKEN, oauth.GRANT_DEVICE_CODE}


@pytest.mark.parametrize("client_id", ["", "desk", "dynamic.x.y", "https://tool.example.org/client.json", "a" * 9999])
def test_what_is_nowhere_is_not_found(client_id: str, file: AuthorizationsFile) -> None:
    assert asyncio.run(Directory({}, file).find(client_id)) is None


def test_a_client_whose_id_is_a_url_is_what_its_document_says(file: AuthorizationsFile) -> None:
    async def main() -> None:
        async with DocumentHost() as host:
            documents = ClientDocuments(client_for_strangers(local=True, tls=host.trust), FakeClock())
            url = host.publish()
            client = await Directory({}, file, documents).find(url)
            assert client is not None
            assert (client.client_id, client.source) == (url, Source.METADATA_DOCUMENT)
            with pytest.raises(InvalidClient):
                await Directory({}, file, documents).find("https://localhost/../x")
            await documents.close()

    asyncio.run(main())


@pytest.mark.parametrize("where", ["jwks", "jwks_uri"])
def test_a_client_proves_itself_by_the_key_that_its_document_has_or_names(where: str, file: AuthorizationsFile) -> None:
    async def main() -> None:
        async with DocumentHost() as host:
            documents = ClientDocuments(client_for_strangers(local=True, tls=host.trust), FakeClock())
            keys = {"keys": [es256_key("tool").jwk()]}
            host.replies["/keys"] = Reply(to_json(keys))
            members: dict[str, Any] = {"jwks": keys, "jwks_uri": host.url("/keys")}
            url = host.publish(token_endpoint_auth_method="private_key_jwt", **{where: members[where]})
            clients = SignInClients(Directory({}, file, documents), frozenset({ISSUER}), file, FakeClock())
            client = await clients.authenticate([], _assertion(url, "tool"))
            assert (client.client_id, client.assurance) == (url, Assurance.AUTHENTICATED)
            for name in ("tool", "stranger"):
                form = _assertion(url, name)
                form["client_id"] = ["https://localhost/other"] if name == "tool" else [url]
                with pytest.raises(InvalidClient):
                    await clients.authenticate([], form)
            with pytest.raises(InvalidClient):  # saying who one is is not enough
                await clients.authenticate([], {"client_id": [url]})
            assert host.asked.count("/keys") <= 1
            await documents.close()

    asyncio.run(main())


def test_a_client_without_keys_cannot_prove_itself_by_one(file: AuthorizationsFile) -> None:
    with pytest.raises(InvalidClient):
        asyncio.run(Directory({}, file).keys_of(DESK))


def _assertion(client_id: str, key: str) -> dict[str, list[str]]:
    proof = PrivateKeyJwt(client_id, ISSUER, "ES256", es256_key(key).private, "tool").prove(now=FakeClock().now())
    return {name: [value] for name, value in proof.fields}
