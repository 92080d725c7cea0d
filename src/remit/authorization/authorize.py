"""Path: an authorization request → the person's own yes or no → a code, or a refusal (RFC 6749 §4.1).

The URL is all the state there is: the same query leads through sign-in and consent, and is checked anew each time.

Everybody is asked every time. Most clients here are programs on the person's own computer, and anything that runs
there can pretend to be one of them: who would be let through unasked because of an earlier yes, would be let through
for whoever uses that client's name (RFC 8252 §8.6).

And nobody is sent by themselves where anybody could have registered an address: a refusal that nobody had a part in is
a page with a link there, or else every link to this service could lead anywhere (RFC 9700 §4.11.2).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from starlette.responses import Response

from remit.authorization.authorization import AuthorizationRequest
from remit.authorization.client import ClientDirectory, SignInClient, Source
from remit.authorization.consent import Abilities, Question, chosen, clean, face_of, may_be_given, questions
from remit.authorization.desk import Desk, Visit
from remit.authorization.pages import see_other
from remit.authorization.person import SignIn
from remit.authorization.request import (
    Offer,
    ReturnAddress,
    client_id_of,
    read_query,
    read_request,
    return_address,
)
from remit.authorization.sessions import Session
from remit.authorization.sign_in import AUTHORIZE, SignInDesk
from remit.errors import (
    AccessDenied,
    ConsentRequired,
    GrantError,
    InvalidRequest,
    LoginRequired,
    UnmetAuthentication,
)
from remit.oauth import format_scope
from remit.sts.form import single

_SIGN_IN_PROMPTS: Final = frozenset({"login", "select_account"})
_NONE_CHOSEN: Final = "Choose at least one permission, or deny."
_LOG: Final = logging.getLogger(__name__)


class Codes(Protocol):
    """What becomes of a yes."""

    async def grant_code(
        self, request: AuthorizationRequest, client: SignInClient, sign_in: SignIn, scopes: tuple[str, ...]
    ) -> str:
        """A code for ``client``, good once."""
        ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What people are asked, in the words of the settings: ``words`` by scope; ``lifetime`` of a yes in seconds."""

    abilities: Abilities
    words: Mapping[str, str] = field(default_factory=dict)
    default_scopes: tuple[str, ...] = ()
    lifetime: int = 90 * 86_400

    def offered(self, requested: tuple[str, ...], client: SignInClient, sign_in: SignIn) -> tuple[str, ...]:
        """The scopes to ask this person for."""
        return may_be_given(requested, sign_in.person, client, self.default_scopes)

    async def asked(
        self, client: SignInClient, sign_in: SignIn, offered: tuple[str, ...]
    ) -> tuple[tuple[Question, ...], list[str]]:
        """A question for each scope; and the tools that need none."""
        able = await self.abilities(sign_in.person, client.client_id, offered)
        return questions(offered, self.words, able), [clean(each.title) for each in able if not each.scope]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may be answered to ``address``. ``query`` is the whole, ``plain`` what the client made of it.

    ``signed_in_at``: when somebody signed in for this very request; 0: nobody has.
    """

    query: str
    plain: str
    signed_in_at: int
    client: SignInClient
    address: ReturnAddress
    request: AuthorizationRequest


class AuthorizeEndpoint:
    """``GET`` shows what a client asks for, ``POST`` brings the answer."""

    def __init__(
        self, desk: Desk, sign_in: SignInDesk, directory: ClientDirectory, codes: Codes, offer: Offer, terms: Terms
    ) -> None:
        self._desk = desk
        self._sign_in = sign_in
        self._directory = directory
        self._codes = codes
        self._offer = offer
        self._terms = terms

    async def show(self, visit: Visit) -> Response:
        """``GET``: the sign-in page, the consent page, or a refusal to the client."""
        asked = await self._read(visit)
        if isinstance(asked, Response):
            return asked
        silent = "none" in asked.request.prompt
        if visit.session is None or must_sign_in(asked, visit.session, self._desk.clock.now()):
            if silent:
                return self._refused(
                    asked.client, asked.address, LoginRequired("nobody is signed in in the way that is asked for")
                )
            return await self._sign_in.ask(visit, AUTHORIZE, asked.plain, asked.request)
        if not _is_signed_in_as_asked(asked.request, visit.session.sign_in):
            unmet = UnmetAuthentication("the person did not sign in in the way that is asked for")
            return self._refused(asked.client, asked.address, unmet)
        if silent:
            return self._refused(asked.client, asked.address, ConsentRequired("people are asked here every time"))
        return await self._consent(visit.session, asked)

    async def answer(self, visit: Visit) -> Response:
        """``POST``: what the person said. The form is good for this session and this request alone."""
        asked = await self._read(visit)
        if isinstance(asked, Response):
            return asked
        session = visit.session
        if session is None or must_sign_in(asked, session, self._desk.clock.now()):
            return see_other(self._desk.url(AUTHORIZE, asked.plain))
        form = await self._desk.form(visit)
        self._desk.check(form, session.id, AUTHORIZE, asked.query)
        if single(form, "answer") != "allow":
            return await self._denied(session, asked)
        offered = self._terms.offered(asked.request.scopes, asked.client, session.sign_in)
        scopes = chosen(form, offered)
        if not scopes and (offered or asked.request.scopes):
            return await self._consent(session, asked, fault=_NONE_CHOSEN)
        await self._desk.tell("authorize", _facts(session, asked.client, scopes))
        code = await self._codes.grant_code(asked.request, asked.client, session.sign_in, scopes)
        return see_other(asked.address.with_code(code))

    async def _read(self, visit: Visit) -> Asked | Response:
        """The request. Faults before the address is known to be the client's own are raised, to become a page; those
        after it are sent there.
        """
        plain, signed_in_at = self._desk.marks.signed_in_for(visit.query, self._desk.clock.now())
        query = read_query(plain)
        client = await self._directory.find(client_id_of(query))
        if client is None:
            raise InvalidRequest("no client of that name is known here (client_id)")
        address = return_address(query, client, self._desk.issuer)
        try:
            request = read_request(query, client, address, self._offer)
        except GrantError as error:
            return self._refused(client, address, error)
        return Asked(visit.query, plain, signed_in_at, client, address, request)

    async def _consent(self, session: Session, asked: Asked, fault: str = "") -> Response:
        offered = self._terms.offered(asked.request.scopes, asked.client, session.sign_in)
        asking, freely = await self._terms.asked(asked.client, session.sign_in, offered)
        return self._desk.pages.page(
            "consent",
            leaves=True,
            status=422 if fault else 200,
            action=self._desk.url(AUTHORIZE, asked.query),
            csrf=self._desk.marks.csrf(session.id, AUTHORIZE, asked.query),
            face=face_of(asked.client, asked.address.uri),
            possible=bool(offered) or not asked.request.scopes,
            questions=asking,
            freely=freely,
            until=self._desk.clock.now() + self._terms.lifetime,
            user_code="",
            fault=fault,
            **self._desk.person(session, AUTHORIZE, asked.plain),
        )

    async def _denied(self, session: Session, asked: Asked) -> Response:
        await self._desk.tell("authorization_refused", _facts(session, asked.client))
        return see_other(asked.address.with_error(AccessDenied("the person said no")))

    def _refused(self, client: SignInClient, address: ReturnAddress, error: GrantError) -> Response:
        """A refusal that nobody had a part in; by itself it goes to this machine and to clients of the operator's."""
        _LOG.info("an authorization request was refused: %s: %s", error.code, error.message)
        url = address.with_error(error)
        if client.source is Source.SETTINGS or address.uri.startswith("http:"):
            return see_other(url)
        where = face_of(client, address.uri).destination
        text = f"{error.message[:1].upper()}{error.message[1:]}."
        return self._desk.pages.message(
            "This cannot be continued", text, status=400, again=url, label=f"Back to {where}"
        )


def must_sign_in(asked: Asked, session: Session, now: float) -> bool:
    """Whether the request asks for another sign-in than the one there is.

    One that was made for this very request is never asked for again: ``prompt=login`` would come to no end.
    """
    request, sign_in = asked.request, session.sign_in
    if asked.signed_in_at and session.opened_at >= asked.signed_in_at:
        return False
    # 0 is how a client asks for a new sign-in (OpenID Connect Core §3.1.2.1), however fresh the last one is.
    too_old = request.max_age == 0 or 0 < request.max_age < now - sign_in.auth_time
    return bool(request.prompt & _SIGN_IN_PROMPTS) or too_old or not _is_signed_in_as_asked(request, sign_in)


def _is_signed_in_as_asked(request: AuthorizationRequest, sign_in: SignIn) -> bool:
    return not request.acr_values or sign_in.acr in request.acr_values


def _facts(session: Session, client: SignInClient, scopes: tuple[str, ...] = ()) -> dict[str, str]:
    person = session.sign_in.person
    return {
        "kind": "client",
        "value": client.client_id,
        "user": person.sub,
        "issuer": person.issuer,
        "scope": format_scope(scopes),
    }
