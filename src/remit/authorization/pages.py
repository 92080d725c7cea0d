"""Rule: how a page is made: from a template that escapes whatever it is given, with headers that keep it to itself.

No page has a script, an inline style or anything from elsewhere, so none is allowed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

STYLE_PATH: Final = "/oauth2/style.css"
_POLICY: Final = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
_FORMS: Final = "; form-action 'self'"
_HEADERS: Final = {
    "X-Frame-Options": "DENY",
    # Not no-referrer: with that, browsers send `Origin: null` with a form, and who sent it could not be told.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Pragma": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_STYLE_HEADERS: Final = {"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff"}
_TEMPLATES: Final = ("sign_in", "consent", "device", "given", "message")


class Pages:
    """The pages of the authorization server whose endpoints lie below ``base``, a path or ``""``."""

    def __init__(self, base: str, service: str) -> None:
        environment = Environment(
            loader=PackageLoader("remit.authorization"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.globals.update(base=base, service=service)
        environment.filters["day"] = _day
        self._templates = {name: environment.get_template(f"{name}.html") for name in _TEMPLATES}
        self._style = files("remit.authorization").joinpath("templates/style.css").read_bytes()

    def page(self, template: str, *, status: int = 200, leaves: bool = False, **values: Any) -> Response:
        """A page. ``leaves``: its form is answered by a redirect to a client.

        Chromium holds every hop after a form to the page's ``form-action``, and what a client's own address leads on
        to cannot be known here (from a web page into an app, say); so such a page goes without that directive. What it
        would keep out, a form in injected markup, has no way in but a hole in the escaping.
        """
        headers = {**_HEADERS, "Content-Security-Policy": _POLICY if leaves else _POLICY + _FORMS}
        return Response(self._templates[template].render(**values), status, headers, "text/html")

    def message(self, title: str, text: str, *, status: int = 200, again: str = "", label: str = "") -> Response:
        """A page that only says something; ``again``: a link to go on, called ``label``."""
        return self.page("message", status=status, title=title, text=text, again=again, label=label)

    async def style(self, _: Request) -> Response:
        """The style sheet."""
        return Response(self._style, 200, dict(_STYLE_HEADERS), "text/css")


def see_other(url: str) -> Response:
    """``303``: whatever led here, a GET follows. ``url`` goes out as it is, which is printable ASCII."""
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise ValueError("that is no URL to put in a header")
    headers = {name: value for name, value in _HEADERS.items() if name != "Permissions-Policy"}
    return Response(status_code=303, headers={**headers, "Location": url})


def _day(seconds: float) -> str:
    day = datetime.fromtimestamp(seconds, UTC)
    return f"{day.day} {day:%B %Y}"
