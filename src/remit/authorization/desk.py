"""Door: what all pages share: who visits, what their form says and whether they meant it, how an error looks."""

from __future__ import annotations

import asyncio
import logging
import secrets
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from remit.authorization.consent import clean
from remit.authorization.cookies import Cookies
from remit.authorization.marks import Marks
from remit.authorization.pages import Pages
from remit.authorization.request import MAX_QUERY_BYTES
from remit.authorization.sessions import Session, Sessions
from remit.clock import Clock
from remit.errors import AuditError, GrantError, GrantUnavailable, InvalidRequest, RemitError, StateInvalid
from remit.sts.form import Form, read_form, single
from remit.sts.returning import RecordControl

_MAX_FORM_BYTES: Final = 16 * 1024
_FORM_SECONDS: Final = 10.0
_BROWSER_SECONDS: Final = 24 * 3600
_LOG: Final = logging.getLogger(__name__)


class FormRefused(InvalidRequest):
    """A form that this person's browser was not shown here, or not for this (403)."""

    status = 403


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a browser. ``query`` is printable ASCII; ``browser`` tells it from other browsers."""

    request: Request
    query: str
    session: Session | None
    browser: str = field(repr=False)
    new: bool = False

    @property
    def address(self) -> str:
        """Where it comes from, or ``""``. A proxy's own where one stands in front."""
        return self.request.client.host if self.request.client else ""


Answer = Callable[[Visit], Awaitable[Response]]


class Desk:
    """The pages of ``issuer``, for browsers that ``key`` (32 bytes) marks what they are shown for."""

    def __init__(
        self, issuer: str, key: bytes, sessions: Sessions, clock: Clock, record: RecordControl | None = None
    ) -> None:
        parts = urlsplit(issuer)
        self.issuer = issuer
        self.base = parts.path.rstrip("/")
        self.pages = Pages(self.base, parts.netloc)
        self.marks = Marks(key)
        self.cookies = Cookies.of(issuer)
        self.sessions = sessions
        self.clock = clock
        self._record = record
        self._origin = f"{parts.scheme}://{parts.netloc}".lower()

    def url(self, place: str, query: str = "") -> str:
        """The path of an endpoint below ``/oauth2``, with a query."""
        return f"{self.base}/oauth2/{place}" + (f"?{query}" if query else "")

    async def tell(self, action: str, what: dict[str, str]) -> None:
        """Record what a person did. Raises ``AuditError``: then it must not be done."""
        if self._record is not None:
            await self._record(action, what)

    async def visit(self, request: Request) -> Visit:
        """Who visits. Raises ``InvalidRequest`` for a query that no browser sends, and ``StateInvalid``."""
        query = request.scope["query_string"].decode("latin-1")
        if len(query) > MAX_QUERY_BYTES:
            raise InvalidRequest(f"the request is longer than {MAX_QUERY_BYTES} bytes")
        if not query.isascii() or not query.isprintable() or " " in query:
            raise InvalidRequest("the request's address has characters that may not stand there")
        sent = request.headers.getlist("cookie")
        browser = self.cookies.browser.read(sent)
        session = await self.sessions.find(self.cookies.session.read(sent))
        return Visit(request, query, session, browser or secrets.token_urlsafe(32), new=not browser)

    async def form(self, visit: Visit) -> Form:
        """The form that was sent from a page of this site. Raises ``InvalidRequest``.

        What it may be used for is for ``check`` to say.
        """
        self._check_sender(visit.request)
        content_types = visit.request.headers.getlist("content-type")
        if len(content_types) != 1:
            raise InvalidRequest("one Content-Type is needed")
        return read_form(content_types[0], await _body(visit.request))

    def check(self, form: Form, holder: str, *about: str) -> None:
        """Raise ``FormRefused`` unless the form was shown here to ``holder``, and about exactly this."""
        if not self.marks.is_csrf(single(form, "csrf"), holder, *about):
            raise FormRefused(
                "this form was not shown to you for this, or too long ago: go back, load it again, repeat"
            )

    def person(self, session: Session, place: str, query: str) -> dict[str, Any]:
        """What a page needs to show who is signed in, and to let them go."""
        person = session.sign_in.person
        return {
            "person": {"name": clean(person.name) or clean(person.sub), "sub": clean(person.sub)},
            "sign_out": self.url(f"sign-out/{place}", query),
            "sign_out_csrf": self.marks.csrf(session.id, "sign-out"),
        }

    def fault(self, error: RemitError) -> Response:
        """An error as a page: it goes nowhere else."""
        _LOG.info("a page was refused: %s: %s (%s)", error.code, error.message, error.detail)
        unavailable = isinstance(error, GrantUnavailable | StateInvalid | AuditError)
        if not isinstance(error, GrantError):
            text = "Something is out of order here. Try again later, or ask whoever runs this service."
            return self.pages.message("Not possible now", text, status=503 if unavailable else 500)
        text = f"{error.message[:1].upper()}{error.message[1:]}."
        if unavailable:
            return self.pages.message("Not possible now", clean(text, 400), status=503)
        return self.pages.message("This cannot be continued", clean(text, 400), status=_page_status(error))

    def _check_sender(self, request: Request) -> None:
        """Browsers say from which page a form was sent; what is no browser has nobody's cookies to abuse."""
        origins = request.headers.getlist("origin")
        sites = request.headers.getlist("sec-fetch-site")
        if any(origin.lower() != self._origin for origin in origins) or any(site != "same-origin" for site in sites):
            raise FormRefused("this form was sent from another site")


class Endpoint:
    """An ASGI application of one path; by method, what answers. Whatever happens, a page comes of it."""

    def __init__(self, desk: Desk, answers: dict[str, Answer]) -> None:
        self._desk = desk
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._respond(Request(scope, receive))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        if (answer := self._answers.get(method)) is None:
            response = self._desk.pages.message("This cannot be continued", "There is nothing here.", status=405)
            response.headers["Allow"] = ", ".join(self._answers)
            return response
        try:
            visit = await self._desk.visit(request)
            response = await answer(visit)
            if visit.new:
                set_cookie = self._desk.cookies.browser.set(visit.browser, _BROWSER_SECONDS)
                response.headers.append("Set-Cookie", set_cookie)
        except RemitError as error:
            return self._desk.fault(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except Exception as error:  # noqa: BLE001  the top of the request: nothing inner may show
            frames = traceback.extract_tb(error.__traceback__)[-5:]
            places = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
            _LOG.error("%s failed: %s at %s", request.url.path, type(error).__name__, places)
            text = "Something went wrong here. Whoever runs this service finds it in the log."
            return self._desk.pages.message("Not possible now", text, status=500)
        return response


def _page_status(error: GrantError) -> int:
    return 400 if error.status == 401 else error.status  # a 401 would need a challenge (RFC 9110 §15.5.2)


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_FORM_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MAX_FORM_BYTES:
                    raise InvalidRequest(f"the form is longer than {_MAX_FORM_BYTES} bytes")
    except TimeoutError as error:
        raise InvalidRequest("the form did not arrive in time") from error
    return bytes(body)
