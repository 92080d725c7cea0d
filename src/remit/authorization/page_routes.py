"""Path: the parts of the pages, put together, and where each lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from starlette.routing import Route

from remit.authorization.authorize import AuthorizeEndpoint, Codes, Terms
from remit.authorization.client import ClientDirectory
from remit.authorization.desk import Answer, Desk, Endpoint
from remit.authorization.device_page import DevicePage, Devices
from remit.authorization.file import AuthorizationsFile
from remit.authorization.given_page import Given, GivenPage
from remit.authorization.pages import STYLE_PATH
from remit.authorization.password_sign_in import PasswordSignIn
from remit.authorization.passwords import Passwords
from remit.authorization.person import People
from remit.authorization.request import Offer
from remit.authorization.sessions import LoggedOut, Sessions
from remit.authorization.sign_in import SignInDesk, UpstreamSignIn
from remit.authorization.throttle import Throttle
from remit.clock import Clock
from remit.sts.returning import RecordControl

AUTHORIZE_PATH: Final = "/oauth2/authorize"
DEVICE_PATH: Final = "/oauth2/device"
CALLBACK_PATH: Final = "/oauth2/callback"


class Authorizations(Codes, Given, Protocol):
    """What people allow clients, and have allowed them."""


@dataclass(frozen=True, slots=True)
class PageParts:
    """What the pages are made of. ``key``: 32 bytes, the same in all processes.

    People sign in by ``passwords``, or at ``upstream`` where there is one. ``audiences``: what tokens can be had for,
    the first where a client names none.
    """

    issuer: str
    key: bytes = field(repr=False)
    clock: Clock
    file: AuthorizationsFile
    people: People
    directory: ClientDirectory
    authorizations: Authorizations
    devices: Devices
    passwords: Passwords
    audiences: tuple[str, ...]
    terms: Terms
    session_lifetime: int
    upstream: UpstreamSignIn | None = None
    record: RecordControl | None = None
    logged_out: LoggedOut | None = None


def page_routes(parts: PageParts) -> list[Route]:
    """Everything that people see, at the paths that the issuer's own path asks for."""
    sessions = Sessions(
        parts.file,
        parts.people,
        parts.passwords,
        lifetime=parts.session_lifetime,
        logged_out=parts.logged_out,
    )
    desk = Desk(parts.issuer, parts.key, sessions, parts.clock, parts.record)
    throttle = Throttle(parts.file)
    own = PasswordSignIn(parts.people, parts.passwords, throttle, parts.clock, parts.record)
    sign_in = SignInDesk(desk, None if parts.upstream else own, parts.upstream)
    offer = Offer(parts.audiences, steps_up=parts.upstream is not None)
    authorize = AuthorizeEndpoint(desk, sign_in, parts.directory, parts.authorizations, offer, parts.terms)
    device = DevicePage(desk, sign_in, parts.directory, parts.devices, throttle, parts.terms)
    given = GivenPage(desk, sign_in, parts.authorizations)
    answers: Mapping[str, dict[str, Answer]] = {
        AUTHORIZE_PATH: {"GET": authorize.show, "POST": authorize.answer},
        DEVICE_PATH: {"GET": device.show, "POST": device.answer},
        "/oauth2/authorizations": {"GET": given.show, "POST": given.answer},
        "/oauth2/sign-in": {"POST": sign_in.answer},
        "/oauth2/sign-in/{place}": {"POST": sign_in.answer},
        "/oauth2/sign-out/{place}": {"POST": sign_in.sign_out},
        **({CALLBACK_PATH: {"GET": sign_in.came_back}} if parts.upstream else {}),
    }
    pages = [Route(desk.base + path, Endpoint(desk, by_method)) for path, by_method in answers.items()]
    return [*pages, Route(desk.base + STYLE_PATH, desk.pages.style)]
