"""The pages of an authorization server in this process, and browsers that visit them.

What is behind the pages (codes, devices, clients) is made up here; sessions, passwords and counters are the real ones.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import httpx2
from argon2 import PasswordHasher
from starlette.applications import Starlette
from starlette.testclient import TestClient

from remit.authorization.authorization import Authorization, AuthorizationRequest
from remit.authorization.authorize import Terms
from remit.authorization.client import SignInClient, Source
from remit.authorization.consent import Ability
from remit.authorization.file import AuthorizationsFile
from remit.authorization.page_routes import PageParts, page_routes
from remit.authorization.passwords import PasswordFile, Passwords
from remit.authorization.person import Person, SignIn
from remit.authorization.sign_in import UpstreamSignIn
from remit.errors import AuditError, InvalidClient
from remit.principal import Assurance
from support.clock import FakeClock

ISSUER = "https://remit.example.com"
MCP = "https://remit.example.com/mcp"
PASSWORD = "seven blue horses"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
#: Cheap, so that tests are fast; everything else is as it is served.
HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

ALICE = Person("alice", name="Alice Adams", groups=("sales",), scopes=("orders.read", "orders.write"))
BOB = Person("bob", name="Bob Brown", scopes=("orders.read",))

DESK = SignInClient("desk", "Order Desk", Source.SETTINGS, ("https://desk.example.com/callback",))
SHELL = SignInClient("shell", "Shell", Source.SETTINGS, ("http://127.0.0.1/callback",))
APP = SignInClient("app", "App", Source.SETTINGS, ("com.example.app:/callback",))
DOCUMENT = SignInClient(
    "https://tool.example.org/client.json", "Tool", Source.METADATA_DOCUMENT, ("https://tool.example.org/back",)
)
DYNAMIC = SignInClient("dynamic.helper.x1", "Helper", Source.DYNAMIC, ("http://localhost/cb",))


@dataclass
class FakePeople:
    people: dict[str, Person] = field(default_factory=lambda: {"alice": ALICE, "bob": BOB})

    def find(self, sub: str) -> Person | None:
        return self.people.get(sub)


@dataclass
class FakeDirectory:
    clients: dict[str, SignInClient]

    async def find(self, client_id: str) -> SignInClient | None:
        if client_id == "https://gone.example.org/client.json":
            raise InvalidClient("the client's metadata document cannot be had")
        return self.clients.get(client_id)


@dataclass
class FakeAuthorizations:
    granted: list[tuple[AuthorizationRequest, SignInClient, SignIn, tuple[str, ...]]] = field(default_factory=list)
    given: dict[str, Authorization] = field(default_factory=dict)

    async def grant_code(
        self, request: AuthorizationRequest, client: SignInClient, sign_in: SignIn, scopes: tuple[str, ...]
    ) -> str:
        self.granted.append((request, client, sign_in, scopes))
        return f"code-{len(self.granted)}"

    def give(self, person: Person, client: SignInClient, name: str = "", now: int = 1_800_000_000) -> str:
        number = f"a{len(self.given)}"
        self.given[number] = Authorization(
            id=number,
            sign_in=SignIn(person, now),
            client_id=client.client_id,
            client_name=name or client.name,
            assurance=Assurance.SELF_ASSERTED if client.source is Source.DYNAMIC else Assurance.REGISTERED,
            audience=MCP,
            scopes=("orders.read",),
            granted_at=now,
            expires_at=now + 90 * 86_400,
            txn=f"t-{number}",
        )
        return number

    async def listed(self, sub: str, issuer: str) -> list[Authorization]:
        people = ((each, each.sign_in.person) for each in self.given.values())
        return [each for each, person in people if (person.sub, person.issuer) == (sub, issuer)]

    async def revoke(self, authorization_id: str) -> None:
        del self.given[authorization_id]


@dataclass
class FakeDeviceRequest:
    user_code: str
    client_id: str
    scopes: tuple[str, ...]


@dataclass
class FakeDevices:
    devices: dict[str, FakeDeviceRequest] = field(default_factory=dict)
    answers: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)

    async def waiting(self, user_code: str) -> FakeDeviceRequest | None:
        return self.devices.get(user_code)

    async def approve(self, user_code: str, sign_in: SignIn, scopes: tuple[str, ...]) -> None:
        del self.devices[user_code]
        self.answers.append((user_code, sign_in.person.sub, scopes))

    async def deny(self, user_code: str) -> None:
        del self.devices[user_code]
        self.answers.append((user_code, "", ()))


async def abilities(person: Person, client_id: str, scopes: tuple[str, ...]) -> list[Ability]:
    return [
        Ability("orders.read", "Find an order", writes=False),
        Ability("orders.write", "Cancel an order", writes=True),
        Ability("", "Say hello", writes=False),
    ]


@dataclass
class FakeTrail:
    told: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    broken: bool = False

    async def record(self, action: str, what: Any) -> str:
        if self.broken:
            raise AuditError("the trail cannot be written")
        self.told.append((action, dict(what)))
        return ""


@dataclass
class Site:
    """What there is behind the pages, and the pages."""

    folder: Path
    issuer: str = ISSUER
    default_scopes: tuple[str, ...] = ()
    upstream: UpstreamSignIn | None = None
    clock: FakeClock = field(default_factory=FakeClock)
    people: FakePeople = field(default_factory=FakePeople)
    authorizations: FakeAuthorizations = field(default_factory=FakeAuthorizations)
    devices: FakeDevices = field(default_factory=FakeDevices)
    trail: FakeTrail = field(default_factory=FakeTrail)

    def __post_init__(self) -> None:
        clients = (DESK, SHELL, APP, DOCUMENT, DYNAMIC)
        self.directory = FakeDirectory({client.client_id: client for client in clients})
        self.password_file = PasswordFile(self.folder / "passwords")
        known = {name: HASHER.hash(PASSWORD) for name in ("alice", "bob")}
        self.password_file.change(lambda hashes: hashes.update(known))
        self.passwords = Passwords(self.password_file, HASHER)
        self.file = AuthorizationsFile(self.folder / "authorizations.db", self.clock)
        words = {"orders.read": "See your orders"}
        parts = PageParts(
            issuer=self.issuer,
            key=b"k" * 32,
            clock=self.clock,
            file=self.file,
            people=self.people,
            directory=self.directory,
            authorizations=self.authorizations,
            devices=self.devices,
            passwords=self.passwords,
            audiences=(MCP, "https://remit.example.com/gateway"),
            terms=Terms(abilities, words, self.default_scopes),
            session_lifetime=3600,
            upstream=self.upstream,
            record=self.trail.record,
        )
        self.app = Starlette(routes=page_routes(parts))

    def browser(self, address: str = "192.0.2.1") -> Browser:
        """One that nobody has used yet."""
        return Browser(TestClient(self.app, self.issuer, client=(address, 50_000), follow_redirects=False), self.issuer)

    @property
    def actions(self) -> list[str]:
        """What the trail was told."""
        return [action for action, _ in self.trail.told]


@contextmanager
def site(folder: Path, **settings: Any) -> Iterator[Site]:
    """A site that is put away afterwards."""
    made = Site(folder, **settings)
    try:
        yield made
    finally:
        made.passwords.close()
        made.file.close()


@dataclass
class Form:
    """A form of a page: where it goes, and what it has filled in. Buttons are pressed by name."""

    action: str
    fields: dict[str, str]
    checked: list[str]


class Page(HTMLParser):
    """What a page says, for whoever reads it without a stylesheet."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__()
        self.response = response
        self.status = response.status_code
        self.forms: list[Form] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(response.text)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        if tag == "form":
            self.forms.append(Form(given["action"], {}, []))
        if tag == "input" and given.get("type") == "checkbox":
            self.forms[-1].checked.append(given["name"])
        elif tag == "input":
            self.forms[-1].fields[given["name"]] = given.get("value", "")

    def handle_data(self, data: str) -> None:
        self.text += data

    def form(self, ending: str = "") -> Form:
        """The form that goes to the path ``ending``; else the last one."""
        return next(
            (form for form in self.forms if ending and urlsplit(form.action).path.endswith(f"/oauth2{ending}")),
            self.forms[-1],
        )


@dataclass
class Browser:
    """Keeps cookies, follows nothing by itself, and says of itself what browsers say."""

    http: httpx2.Client
    issuer: str

    def get(self, url: str, **headers: str) -> httpx2.Response:
        return self.http.get(url, headers={"Sec-Fetch-Site": "none", **headers})

    def page(self, url: str) -> Page:
        return Page(self.get(url))

    def post(self, action: str, fields: dict[str, str], **headers: str) -> httpx2.Response:
        """``headers``: with underscores; an empty one is left out."""
        sent = {"Origin": self.issuer, "Sec-Fetch-Site": "same-origin"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"Content-Type": "application/x-www-form-urlencoded"}
        return self.http.post(
            action,
            content=urlencode(fields, quote_via=quote),
            headers={name: value for name, value in sent.items() if value},
        )

    def submit(self, form: Form, **fields: str) -> httpx2.Response:
        return self.post(form.action, {**form.fields, **dict.fromkeys(form.checked, "on"), **fields})

    def sign_in(self, url: str, user: str = "alice", password: str = PASSWORD) -> httpx2.Response:
        """Open ``url`` and sign in there: the redirect that comes of it."""
        return self.submit(self.page(url).form("/sign-in"), user=user, password=password)

    def consent(self, url: str, user: str = "alice") -> Page:
        """Open ``url``, sign in, and be asked."""
        answered = self.sign_in(url, user)
        assert answered.status_code == 303, answered.text
        return self.page(answered.headers["location"])


def authorize(client: SignInClient = DESK, **changes: Any) -> str:
    """The URL of a good authorization request; a value ``None`` leaves a parameter out, a list repeats it."""
    parameters: dict[str, Any] = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": client.redirect_uris[0],
        "scope": "orders.read orders.write",
        "state": "s-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "resource": MCP,
    }
    parameters |= changes
    present = {name: value for name, value in parameters.items() if value is not None}
    return f"/oauth2/authorize?{urlencode(present, doseq=True)}"


def answer_of(response: httpx2.Response, uri: str = DESK.redirect_uris[0]) -> dict[str, str]:
    """The parameters that a redirect to ``uri`` brings the client."""
    assert response.status_code == 303, response.text
    location = response.headers["location"]
    assert location.startswith(uri)
    query = urlsplit(location).query
    assert all(len(values) == 1 for values in parse_qs(query).values())
    return dict(parse_qsl(query))
