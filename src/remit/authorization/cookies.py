"""Rule: the two cookies of the pages, and how they are set and read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

#: 32 random bytes in base64url.
_VALUE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie, by name. ``secure``: it is sent over https alone."""

    name: str
    secure: bool

    def read(self, headers: list[str]) -> str:
        """Its value in the ``Cookie`` headers of a request; ``""`` where it is absent, malformed or there twice.

        Two of one name mean that somebody else has set one of them.
        """
        found = [
            value.strip()
            for header in headers
            for name, _, value in (pair.partition("=") for pair in header.split(";"))
            if name.strip() == self.name
        ]
        return found[0] if len(found) == 1 and _VALUE.fullmatch(found[0]) else ""

    def set(self, value: str, max_age: int) -> str:
        """The ``Set-Cookie`` header. ``Lax``: the link that a client opens must find who is signed in."""
        secure = "; Secure" if self.secure else ""
        return f"{self.name}={value}; Max-Age={max_age}; Path=/; HttpOnly; SameSite=Lax{secure}"

    def clear(self) -> str:
        """The ``Set-Cookie`` header that removes it."""
        return self.set("", 0)


@dataclass(frozen=True, slots=True)
class Cookies:
    """``session`` says who is signed in; ``browser`` only tells one browser from another, before anybody is."""

    session: Cookie
    browser: Cookie

    @classmethod
    def of(cls, issuer: str) -> Cookies:
        """With https the names are ``__Host-…``, which no other host can set (RFC 6265bis §4.1.3.2).

        Cookies do not tell ports apart, so on plain loopback the port is part of the name.
        """
        parts = urlsplit(issuer)
        if parts.scheme == "https":
            return cls(Cookie("__Host-remit-session", secure=True), Cookie("__Host-remit-browser", secure=True))
        port = parts.port or 80
        return cls(Cookie(f"remit-session-{port}", secure=False), Cookie(f"remit-browser-{port}", secure=False))
