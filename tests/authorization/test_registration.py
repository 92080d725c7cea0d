from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata
from starlette.applications import Starlette

from remit import oauth
from remit.authorization.client import SignInClient, Source
from remit.authorization.client_authentication import SignInClients
from remit.authorization.directory import Directory
from remit.authorization.registration import Registration, registration_route
from remit.errors import AuditError, GrantUnavailable, InvalidClient
from remit.principal import Assurance
from support.authorization import ALICE, World
from support.clock import FakeClock
from support.issuer import es256_key

ISSUER = "https://remit.example.com/auth"
DAY = 86_400
SOUND: dict[str, Any] = {
    "client_name": "Order Helper!",
    "redirect_uris": ["http://localhost:3118/callback"],
    "token_endpoint_auth_method": "none",
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
}


@dataclass
class Office:
    """A registration endpoint, and what is known of those who registered there."""

    directory: Path
    clock: FakeClock = field(default_factory=FakeClock)
    limit: int = 1000
    told: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    trail_works: bool = True

    def __post_init__(self) -> None:
        self.world = World(self.directory, self.clock)
        self.file = self.world.file
        self.registration = Registration(self.file, self.clock, limit=self.limit, record=self._record)
        self.clients = Directory({}, self.file)

    async def _record(self, action: str, what: Mapping[str, str]) -> str:
        if not self.trail_works:
            raise AuditError("no")
        self.told.append((action, what))
        return "id"

    def post(
        self,
        body: bytes | None = None,
        *,
        address: str = "192.0.2.1",
        headers: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> httpx.Response:
        """Register the sound client with ``changes``, or ``body``."""
        members = {name: value for name, value in {**SOUND, **changes}.items() if value is not ...}
        content = json.dumps(members).encode() if body is None else body

        async def main() -> httpx.Response:
            app = Starlette(routes=[registration_route(ISSUER, self.registration)])
            transport = httpx.ASGITransport(app, client=(address, 4711))
            async with httpx.AsyncClient(transport=transport, base_url="https://remit.example.com") as http:
                sent = {"Content-Type": "application/json", **(headers or {})}
                return await http.post("/auth/oauth2/register", content=content, headers=sent)

        return asyncio.run(main())

    def registered(self, **changes: Any) -> str:
        """The id of a client that has just registered, from an address of its own."""
        response = self.post(address=f"198.51.100.{len(self.told) % 250}", **changes)
        assert response.status_code == 201, response.text
        return str(response.json()["client_id"])

    def find(self, client_id: str) -> SignInClient | None:
        return asyncio.run(self.clients.find(client_id))

    def use(self, client_id: str) -> None:
        """Have somebody sign in through it: it has an authorization for the next minutes."""
        client = self.find(client_id)
        assert client is not None
        sign_in = self.world.sign_in(ALICE)
        asyncio.run(self.world.authorizations.start(client, sign_in, "https://remit.example.com/mcp", ()))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path)
    yield office
    office.world.close()


def test_a_client_registers_and_is_known_from_then_on(office: Office) -> None:
    response = office.post(
        scope="a b", application_type="native", software_id="x", contacts=["me"], logo_uri="https://x"
    )
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    answer = response.json()
    client_id = answer.pop("client_id")
    assert client_id.startswith("dynamic.order-helper.")
    assert answer == {
        "client_id_issued_at": int(office.clock.now()),
        "client_name": "Order Helper!",
        "redirect_uris": ["http://localhost:3118/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    client = office.find(client_id)
    assert client == SignInClient(client_id, "Order Helper!", Source.DYNAMIC, ("http://localhost:3118/callback",))
    assert client.assurance is Assurance.SELF_ASSERTED
    assert office.told == [("register_client", {"kind": "client", "value": client_id})]


def test_what_the_python_sdk_sends_and_reads_fits(office: Office) -> None:
    metadata = OAuthClientMetadata.model_validate({"client_name": "SDK", "redirect_uris": ["http://localhost:1/cb"]})
    response = office.post(metadata.model_dump_json(by_alias=True, exclude_none=True).encode())
    information = OAuthClientInformationFull.model_validate_json(response.content)
    assert information.client_id is not None
    assert office.find(information.client_id) is not None


@pytest.mark.parametrize("method", [..., "client_secret_basic", "client_secret_post", None])
def test_a_secret_is_told_once_and_only_its_digest_is_kept(method: Any, office: Office, tmp_path: Path) -> None:
    answer = office.post(token_endpoint_auth_method=method).json()
    secret, client_id = answer["client_secret"], answer["client_id"]
    assert answer["client_secret_expires_at"] == 0
    assert answer["token_endpoint_auth_method"] == (method if isinstance(method, str) else "client_secret_basic")
    for path in tmp_path.glob("authorizations.db*"):
        assert secret.encode() not in path.read_bytes()
    assert secret not in repr(office.find(client_id))
    clients = SignInClients(office.clients, frozenset({ISSUER}), office.file, office.clock)
    form = {"client_id": [client_id], "client_secret": [secret]}
    client = asyncio.run(clients.authenticate([], form))
    assert (client.client_id, client.assurance) == (client_id, Assurance.SELF_ASSERTED)
    with pytest.raises(InvalidClient):
        asyncio.run(clients.authenticate([], {**form, "client_secret": [secret + "x"]}))
    with pytest.raises(InvalidClient):
        asyncio.run(clients.authenticate([], {"client_id": [client_id]}))


def test_a_client_may_bring_its_key(office: Office) -> None:
    keys = {"keys": [es256_key("tool").jwk()]}
    answer = office.post(token_endpoint_auth_method="private_key_jwt", jwks=keys).json()
    assert answer["jwks"] == keys
    client = office.find(answer["client_id"])
    assert client is not None
    assert client.jwks == keys


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uris": ...}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://evil.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://good.example/cb", "javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": "https://good.example/cb"}, "invalid_redirect_uri"),
        ({"token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        (
            {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://10.0.0.1/keys"},
            "invalid_client_metadata",
        ),
        ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"grant_types": [oauth.GRANT_JWT_BEARER]}, "invalid_client_metadata"),
        ({"client_name": {"en": "x"}}, "invalid_client_metadata"),
    ],
)
def test_a_client_that_breaks_a_rule_is_refused_by_name_of_the_fault(
    changes: dict[str, Any], error: str, office: Office
) -> None:
    response = office.post(**changes)
    assert (response.status_code, response.json()["error"]) == (400, error)
    assert office.told == []


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b'{"redirect_uris": [], "redirect_uris": []}', {}, 400),
        (b"redirect_uris=x", {"Content-Type": "application/x-www-form-urlencoded"}, 400),
        (b" " * (16 * 1024 + 1), {}, 413),
    ],
)
def test_a_body_that_is_no_registration_is_refused(
    body: bytes, headers: dict[str, str], status: int, office: Office
) -> None:
    response = office.post(body, headers=headers)
    assert response.status_code == status
    assert response.json()["error"] in {"invalid_client_metadata", "invalid_request"}


def test_pages_of_any_origin_may_register_a_client(office: Office) -> None:
    response = office.post(headers={"Origin": "https://inspector.example"})
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers


def test_other_methods_are_not_served(office: Office) -> None:
    async def main() -> httpx.Response:
        app = Starlette(routes=[registration_route(ISSUER, office.registration)])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://remit.example.com") as http:
            return await http.get("/auth/oauth2/register")

    assert asyncio.run(main()).status_code == 405


def test_one_address_registers_only_so_many_clients_a_minute(office: Office) -> None:
    statuses = [office.post(address=f"2001:db8:0:1::{number}").status_code for number in range(21)]
    assert statuses == [201] * 20 + [429]
    assert office.post(address="192.0.2.9").status_code == 201
    office.clock.advance(60)
    assert office.post(address="2001:db8:0:1::1").status_code == 201


def test_what_cannot_be_recorded_is_not_told(office: Office) -> None:
    office.trail_works = False
    response = office.post(token_endpoint_auth_method="client_secret_basic")
    assert (response.status_code, response.json().keys()) == (503, {"error", "error_description"})


def test_one_that_was_never_used_makes_room_the_oldest_first(tmp_path: Path) -> None:
    office = Office(tmp_path, limit=3)
    used, oldest, second = office.registered(), office.registered(), office.registered()
    office.use(used)
    office.clock.advance(601)
    newest = office.registered()
    assert [office.find(each) is not None for each in (used, oldest, second, newest)] == [True, False, True, True]
    office.world.close()


def test_one_that_is_about_to_be_used_makes_no_room(tmp_path: Path) -> None:
    office = Office(tmp_path, limit=2)
    fresh = [office.registered(), office.registered()]
    office.clock.advance(599)
    assert office.post().status_code == 503
    assert all(office.find(each) for each in fresh)
    office.clock.advance(2)
    assert office.post().status_code == 201
    office.world.close()


def test_clients_in_use_make_no_room_at_all(tmp_path: Path) -> None:
    office = Office(tmp_path, limit=1)
    office.use(used := office.registered())
    office.clock.advance(3 * DAY)  # the authorization has ended; that it was there counts
    with pytest.raises(AssertionError, match="no room"):
        office.registered()
    assert office.find(used)
    office.world.close()


def test_one_that_nobody_uses_for_a_month_is_gone(office: Office) -> None:
    idle, used = office.registered(), office.registered()
    office.clock.advance(29 * DAY)
    office.use(used)
    office.clock.advance(2 * DAY)
    office.registered()
    assert (office.find(idle), office.find(used) is not None) == (None, True)


def test_nobody_who_registered_is_known_where_that_is_switched_off(office: Office) -> None:
    client_id = office.registered()
    assert asyncio.run(Directory({}, office.file, registration=False).find(client_id)) is None


def test_clients_that_cannot_be_read_are_not_said_to_be_unknown(office: Office) -> None:
    client_id = office.registered()
    office.file.close()
    with pytest.raises(GrantUnavailable):
        office.find(client_id)
