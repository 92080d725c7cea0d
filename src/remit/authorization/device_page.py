"""Path: the code that a device shows → the person's own yes or no (RFC 8628 §3.3).

Whoever enters somebody else's code gives them what is theirs (RFC 8628 §5.4), so the page says so, twice, and a link
that has the code in it only fills in the field.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from starlette.responses import Response

from remit.authorization.authorize import Terms
from remit.authorization.client import ClientDirectory, SignInClient
from remit.authorization.consent import chosen, face_of
from remit.authorization.desk import Desk, Visit
from remit.authorization.pages import see_other
from remit.authorization.person import SignIn
from remit.authorization.request import read_query
from remit.authorization.sessions import Session
from remit.authorization.sign_in import DEVICE, SignInDesk
from remit.authorization.throttle import Throttle, user_code_counters
from remit.errors import InvalidRequest
from remit.oauth import format_scope
from remit.sts.form import Form, single

_UNKNOWN: Final = "No device shows that code now. Check it, or start again on the device."
_NONE_CHOSEN: Final = "Choose at least one permission, or deny."
_CODE: Final = re.compile(r"[A-Z0-9-]{4,32}")


class DeviceRequest(Protocol):
    """What a device waits for."""

    @property
    def user_code(self) -> str:
        """The code, as it is shown to people."""
        ...

    @property
    def client_id(self) -> str:
        """Who asks."""
        ...

    @property
    def scopes(self) -> tuple[str, ...]:
        """What for."""
        ...


class Devices(Protocol):
    """The devices that wait for somebody's answer."""

    async def waiting(self, user_code: str) -> DeviceRequest | None:
        """The one that shows this code, if there is one."""
        ...

    async def approve(self, user_code: str, sign_in: SignIn, scopes: tuple[str, ...]) -> None:
        """Let it have these."""
        ...

    async def deny(self, user_code: str) -> None:
        """Tell it no."""
        ...


class DevicePage:
    """``GET`` asks for the code, ``POST`` brings it, and then the answer."""

    def __init__(
        self,
        desk: Desk,
        sign_in: SignInDesk,
        directory: ClientDirectory,
        devices: Devices,
        throttle: Throttle,
        terms: Terms,
    ) -> None:
        self._desk = desk
        self._sign_in = sign_in
        self._directory = directory
        self._devices = devices
        self._throttle = throttle
        self._terms = terms

    async def show(self, visit: Visit) -> Response:
        """``GET``: the page where the code is entered."""
        if visit.session is None:
            return await self._sign_in.ask(visit, DEVICE, visit.query)
        values = read_query(visit.query).get("user_code", ())
        return self._entry(visit.session, user_code=_read_code(values[0]) if len(values) == 1 else "")

    async def answer(self, visit: Visit) -> Response:
        """``POST``: the code, or what the person said to what it stands for."""
        session = visit.session
        if session is None:
            return see_other(self._desk.url(DEVICE))
        form = await self._desk.form(visit)
        user_code, answer = _read_code(single(form, "user_code")), single(form, "answer")
        self._desk.check(form, session.id, DEVICE, *([user_code] if answer else []))
        waiting = await self._look(visit, session, user_code)
        if isinstance(waiting, Response):
            return waiting
        client = await self._directory.find(waiting.client_id)
        if client is None:
            raise InvalidRequest("the client that asks is not known here any more")
        if not answer:
            return await self._consent(session, waiting, client)
        return await self._answered(session, waiting, client, form)

    async def _look(self, visit: Visit, session: Session, user_code: str) -> DeviceRequest | Response:
        """Each look counts, also that which brings the answer: or else that would be the one to guess by."""
        person = session.sign_in.person
        counters = user_code_counters(person.sub, person.issuer, visit.address)
        attempt = await self._throttle.begin(counters)
        if attempt.wait:
            fault = f"There were too many codes that no device shows. Wait {attempt.wait} seconds, then try again."
            response = self._entry(session, fault=fault, status=429)
            response.headers["Retry-After"] = str(attempt.wait)
            return response
        waiting = await self._devices.waiting(user_code) if user_code else None
        if waiting is None:
            return self._entry(session, user_code=user_code, fault=_UNKNOWN, status=422)
        await self._throttle.succeeded(counters)
        return waiting

    async def _answered(self, session: Session, waiting: DeviceRequest, client: SignInClient, form: Form) -> Response:
        sign_in = session.sign_in
        what = {"kind": "client", "value": client.client_id, "user": sign_in.person.sub}
        what["issuer"] = sign_in.person.issuer
        if single(form, "answer") != "allow":
            await self._desk.tell("authorization_refused", what)
            await self._devices.deny(waiting.user_code)
            return self._desk.pages.message("Denied", "The device gets nothing. You can close this page.")
        offered = self._terms.offered(waiting.scopes, client, sign_in)
        scopes = chosen(form, offered)
        if not scopes and (offered or waiting.scopes):
            return await self._consent(session, waiting, client, fault=_NONE_CHOSEN)
        await self._desk.tell("authorize", {**what, "scope": format_scope(scopes)})
        await self._devices.approve(waiting.user_code, sign_in, scopes)
        return self._desk.pages.message("Allowed", "Go on at the device. You can close this page.")

    def _entry(self, session: Session, *, user_code: str = "", fault: str = "", status: int = 200) -> Response:
        return self._desk.pages.page(
            "device",
            status=status,
            action=self._desk.url(DEVICE),
            csrf=self._desk.marks.csrf(session.id, DEVICE),
            user_code=user_code,
            fault=fault,
            **self._desk.person(session, DEVICE, ""),
        )

    async def _consent(
        self, session: Session, waiting: DeviceRequest, client: SignInClient, fault: str = ""
    ) -> Response:
        offered = self._terms.offered(waiting.scopes, client, session.sign_in)
        asking, freely = await self._terms.asked(client, session.sign_in, offered)
        return self._desk.pages.page(
            "consent",
            status=422 if fault else 200,
            action=self._desk.url(DEVICE),
            csrf=self._desk.marks.csrf(session.id, DEVICE, waiting.user_code),
            face=face_of(client),
            possible=bool(offered) or not waiting.scopes,
            questions=asking,
            freely=freely,
            until=self._desk.clock.now() + self._terms.lifetime,
            user_code=waiting.user_code,
            fault=fault,
            **self._desk.person(session, DEVICE, ""),
        )


def _read_code(text: str) -> str:
    """What was typed, without blanks and in capitals; ``""`` where it can be no code."""
    code = "".join(text.split()).upper()
    return code if _CODE.fullmatch(code) else ""
