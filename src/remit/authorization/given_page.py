"""Path: somebody sees what they have allowed clients, and takes it back."""

from __future__ import annotations

from typing import Protocol

from starlette.responses import Response

from remit.authorization.authorization import Authorization
from remit.authorization.consent import clean
from remit.authorization.desk import Desk, Visit
from remit.authorization.pages import see_other
from remit.authorization.sessions import Session
from remit.authorization.sign_in import AUTHORIZATIONS, SignInDesk
from remit.errors import InvalidRequest
from remit.principal import Assurance
from remit.sts.form import single


class Given(Protocol):
    """What people have allowed clients."""

    async def listed(self, sub: str, issuer: str) -> list[Authorization]:
        """What a person has given and is still good."""
        ...

    async def revoke(self, authorization_id: str) -> None:
        """End it, and every token of it."""
        ...


class GivenPage:
    """``GET`` lists what there is, ``POST`` takes one of it back."""

    def __init__(self, desk: Desk, sign_in: SignInDesk, given: Given) -> None:
        self._desk = desk
        self._sign_in = sign_in
        self._given = given

    async def show(self, visit: Visit) -> Response:
        """``GET``."""
        if visit.session is None:
            return await self._sign_in.ask(visit, AUTHORIZATIONS, "")
        return await self._page(visit.session)

    async def answer(self, visit: Visit) -> Response:
        """``POST``: only what is the person's own can be taken back."""
        session = visit.session
        if session is None:
            return see_other(self._desk.url(AUTHORIZATIONS))
        form = await self._desk.form(visit)
        self._desk.check(form, session.id, AUTHORIZATIONS)
        wanted = single(form, "authorization")
        own = [each for each in await self._listed(session) if each.id == wanted]
        if not own:
            raise InvalidRequest("you have allowed nothing of that kind, or have taken it back already")
        person = session.sign_in.person
        what = {"kind": "client", "value": own[0].client_id, "user": person.sub, "issuer": person.issuer}
        await self._given.revoke(wanted)
        await self._desk.tell("authorization_revoked", what)
        return await self._page(session, done=f"{clean(own[0].client_name)} can do nothing for you any more.")

    async def _listed(self, session: Session) -> list[Authorization]:
        person = session.sign_in.person
        return await self._given.listed(person.sub, person.issuer)

    async def _page(self, session: Session, done: str = "") -> Response:
        given = [
            {
                "id": each.id,
                "name": clean(each.client_name) or clean(each.client_id),
                "unchecked": each.assurance is Assurance.SELF_ASSERTED,
                "scopes": [clean(scope, 128) for scope in each.scopes],
                "granted_at": each.granted_at,
                "expires_at": each.expires_at,
            }
            for each in await self._listed(session)
        ]
        return self._desk.pages.page(
            "given",
            given=given,
            done=done,
            action=self._desk.url(AUTHORIZATIONS),
            csrf=self._desk.marks.csrf(session.id, AUTHORIZATIONS),
            **self._desk.person(session, AUTHORIZATIONS, ""),
        )
