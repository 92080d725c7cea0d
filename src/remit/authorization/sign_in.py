"""Door: where people sign in, here or at their provider, and where they sign out."""

from __future__ import annotations

import math
from typing import Final, Protocol

from starlette.responses import Response

from remit.authorization.authorization import AuthorizationRequest
from remit.authorization.consent import clean
from remit.authorization.desk import Desk, Visit
from remit.authorization.pages import see_other
from remit.authorization.password_sign_in import NotSignedIn, PasswordSignIn
from remit.authorization.person import SignIn
from remit.credential import Credential
from remit.errors import InvalidRequest
from remit.sts.form import single

#: Where a sign-in leads back to: these places below ``/oauth2``, and no other address.
AUTHORIZE: Final = "authorize"
DEVICE: Final = "device"
AUTHORIZATIONS: Final = "authorizations"
PLACES: Final = frozenset({AUTHORIZE, DEVICE, AUTHORIZATIONS})
_WRONG: Final = "The user name or the password is not right."
_MAX_USER: Final = 128


class UpstreamSignIn(Protocol):
    """Another provider that people sign in at."""

    async def begin(self, going_to: str, browser: str, request: AuthorizationRequest | None) -> str:
        """The URL that has somebody sign in there, in the way ``request`` wants it.

        ``going_to`` comes back with them; only the ``browser`` that left may come back.
        """
        ...

    async def finish(self, query: str, browser: str) -> tuple[SignIn, str]:
        """Who came back, and where they were going to. Raises leaves of ``GrantError``."""
        ...


class SignInDesk:
    """Exactly one of ``passwords`` and ``upstream`` is how people sign in."""

    def __init__(self, desk: Desk, passwords: PasswordSignIn | None, upstream: UpstreamSignIn | None = None) -> None:
        self._desk = desk
        self._passwords = passwords
        self._upstream = upstream

    async def ask(self, visit: Visit, place: str, query: str, request: AuthorizationRequest | None = None) -> Response:
        """Have whoever visits ``place`` with ``query`` sign in, and come back."""
        if self._upstream is not None:
            return see_other(await self._upstream.begin(f"{place}?{query}", visit.browser, request))
        return self._page(visit, place, query, user=clean(request.login_hint, _MAX_USER) if request else "")

    async def answer(self, visit: Visit) -> Response:
        """``POST``: the sign-in page's form."""
        place = _place(visit)
        if self._passwords is None:
            raise InvalidRequest("people do not sign in here with a password")
        form = await self._desk.form(visit)
        self._desk.check(form, visit.browser if not visit.new else "", "sign-in", place, visit.query)
        user = single(form, "user")
        password = Credential(single(form, "password"))
        outcome = await self._passwords.sign_in(user, password, visit.address)
        if isinstance(outcome, SignIn):
            return await self._signed_in(visit, outcome, place, visit.query)
        return self._refused(visit, outcome, place, clean(user, _MAX_USER))

    async def came_back(self, visit: Visit) -> Response:
        """``GET``: somebody comes back from the provider they signed in at."""
        if self._upstream is None:
            raise InvalidRequest("people do not sign in elsewhere for this service")
        sign_in, going_to = await self._upstream.finish(visit.query, visit.browser if not visit.new else "")
        place, _, query = going_to.partition("?")
        if place not in PLACES:
            raise InvalidRequest("the sign-in does not say where it leads to")
        return await self._signed_in(visit, sign_in, place, query)

    async def sign_out(self, visit: Visit) -> Response:
        """``POST``: end the session in this browser."""
        place = _place(visit)
        if visit.session is not None:
            self._desk.check(await self._desk.form(visit), visit.session.id, "sign-out")
            await self._desk.sessions.close(visit.session.id)
        again = self._desk.url(place, visit.query)
        text = "Nobody is signed in to this service in this browser any more."
        response = self._desk.pages.message("You are signed out", text, again=again, label="Sign in again")
        response.headers.append("Set-Cookie", self._desk.cookies.session.clear())
        return response

    async def _signed_in(self, visit: Visit, sign_in: SignIn, place: str, query: str) -> Response:
        """Always a session of its own: an id from before, which somebody else may know, is worth nothing."""
        if visit.session is not None:
            await self._desk.sessions.close(visit.session.id)
        session = await self._desk.sessions.open(sign_in)
        if place == AUTHORIZE:
            query = self._desk.marks.after_sign_in(query, session.opened_at)
        response = see_other(self._desk.url(place, query))
        set_cookie = self._desk.cookies.session.set(session.id, self._desk.sessions.lifetime)
        response.headers.append("Set-Cookie", set_cookie)
        return response

    def _refused(self, visit: Visit, outcome: NotSignedIn, place: str, user: str) -> Response:
        if not outcome.wait:
            return self._page(visit, place, visit.query, user=user, fault=_WRONG, status=403)
        fault = f"There were too many attempts. Wait {_lasting(outcome.wait)}, then try again."
        response = self._page(visit, place, visit.query, user=user, fault=fault, status=429)
        response.headers["Retry-After"] = str(outcome.wait)
        return response

    def _page(
        self, visit: Visit, place: str, query: str, *, user: str = "", fault: str = "", status: int = 200
    ) -> Response:
        return self._desk.pages.page(
            "sign_in",
            status=status,
            action=self._desk.url("sign-in" if place == AUTHORIZE else f"sign-in/{place}", query),
            csrf=self._desk.marks.csrf(visit.browser, "sign-in", place, query),
            user=user,
            fault=fault,
        )


def _place(visit: Visit) -> str:
    place = visit.request.path_params.get("place", AUTHORIZE)
    if place not in PLACES:
        raise InvalidRequest("there is no such page")
    return str(place)


def _lasting(seconds: int) -> str:
    if seconds < 120:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    return f"{math.ceil(seconds / 60)} minutes"
