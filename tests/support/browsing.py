"""Whole sign-ins over real sockets, in a few lines: somebody with a browser, and a client that wants their yes.

::

    desk = Client(base, "desk", "https://desk.example/callback")
    alice = browser_at(base)                              # nobody has used it yet
    tokens = desk.signed_in(alice)                        # sign in, say yes, redeem the code
    desk.refresh(tokens["refresh_token"])                 # an httpx2.Response, as from every request
    page = desk.consent(alice)                            # the real page, with its forms
    alice.submit(page.form("/authorize"), answer="deny")  # its checkboxes stay as they are
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import httpx2

from remit import oauth
from support.mcp_door import TLS, call_message
from support.pages import CHALLENGE, PASSWORD, VERIFIER, Browser, Page, answer_of

FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


def browser_at(base: str) -> Browser:
    """One that nobody has used yet, in front of the server at ``base``. It follows no redirect by itself."""
    # No connection stays open, so there is nothing to close.
    none_kept = httpx2.Limits(max_keepalive_connections=0)
    return Browser(httpx2.Client(base_url=base, verify=TLS, trust_env=False, timeout=20, limits=none_kept), base)


def post(base: str, place: str, form: Mapping[str, Any] | str, **headers: str) -> httpx2.Response:
    """A form (or a body as it is) to an endpoint below ``/oauth2``; a value ``None`` leaves a parameter out."""
    present = form if isinstance(form, str) else {name: value for name, value in form.items() if value is not None}
    body = present if isinstance(present, str) else urlencode(present, doseq=True)
    url = f"{base}/oauth2/{place}"
    return httpx2.post(url, content=body, headers={**FORM, **headers}, verify=TLS, trust_env=False, timeout=20)


def call(
    mcp_url: str,
    token: str,
    tool: str = "get_order",
    arguments: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> httpx2.Response:
    """A call of a tool at the MCP door. ``headers`` take the place of the sound ones."""
    sound, body = call_message(tool, "2026-07-28", arguments or {"order_id": "O1001"})
    sent = {**sound, "Authorization": f"Bearer {token}", **(headers or {})}
    return httpx2.post(mcp_url, json=body, headers=sent, verify=TLS, trust_env=False, timeout=20)


@dataclass
class Client:
    """A client that people sign in through at ``base``. ``resource``: what for; the MCP door where it names none."""

    base: str
    client_id: str
    redirect_uri: str
    resource: str = ""
    scope: str = "orders:read"
    secret: str = field(default="", repr=False)

    def request(self, **changes: Any) -> str:
        """The path of a good authorization request; ``None`` leaves a parameter out, a list repeats it."""
        parameters: dict[str, Any] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "state": secrets.token_urlsafe(8),
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": self.resource or f"{self.base}/mcp",
            **changes,
        }
        present = {name: value for name, value in parameters.items() if value is not None}
        return f"/oauth2/authorize?{urlencode(present, doseq=True)}"

    def consent(self, browser: Browser, user: str = "alice", **changes: Any) -> Page:
        """The page that asks whoever is signed in; ``user`` signs in where nobody is."""
        page = browser.page(self.request(**changes))
        if not any(name == "password" for form in page.forms for name in form.fields):
            return page
        answered = browser.submit(page.form("/sign-in"), user=user, password=PASSWORD)
        assert answered.status_code == 303, answered.text
        return browser.page(answered.headers["location"])

    def allowed(self, browser: Browser, user: str = "alice", **changes: Any) -> dict[str, str]:
        """What the client is told once the person has said yes to everything."""
        answered = browser.submit(self.consent(browser, user, **changes).form("/authorize"), answer="allow")
        return answer_of(answered, self.redirect_uri)

    def code(self, browser: Browser, user: str = "alice", **changes: Any) -> str:
        """A code."""
        return self.allowed(browser, user, **changes)["code"]

    def redeem(self, code: str, dpop: str = "", **changes: Any) -> httpx2.Response:
        """Bring a code to the token endpoint. ``dpop``: a proof."""
        form = {"grant_type": oauth.GRANT_AUTHORIZATION_CODE, "code": code, "code_verifier": VERIFIER}
        return self.post({**form, "redirect_uri": self.redirect_uri, **changes}, dpop)

    def refresh(self, token: str, dpop: str = "", **changes: Any) -> httpx2.Response:
        """Bring a refresh token."""
        return self.post({"grant_type": oauth.GRANT_REFRESH_TOKEN, "refresh_token": token, **changes}, dpop)

    def post(self, form: Mapping[str, Any], dpop: str = "", place: str = "token") -> httpx2.Response:
        """A form, as this client."""
        proof = {"DPoP": dpop} if dpop else {}
        own = {"client_id": self.client_id, "client_secret": self.secret or None}
        return post(self.base, place, {**own, **form}, **proof)

    def signed_in(self, browser: Browser, user: str = "alice", **changes: Any) -> dict[str, Any]:
        """Its tokens, once ``user`` has signed in and said yes."""
        answer = self.redeem(self.code(browser, user, **changes))
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document


def error_of(response: httpx2.Response, status: int = 400) -> str:
    """The error code of a refusal, which has this status."""
    assert response.status_code == status, response.text
    code: str = response.json()["error"]
    return code
