"""Rule: which ``Host`` and ``Origin`` may speak to this server.

A page in the user's browser can point its own host name at this machine (DNS rebinding); the browser then
sends that name in ``Host`` and ``Origin``, so a name that is not ours is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

#: This machine's own names. They are always allowed: no rebound page can send them.
LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_PORT = re.compile(r":\d{1,5}\Z")
_ANY_PORT: Final = r"(:\d{1,5})?"


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Host names and origins. One without a port stands for every port of it."""

    hosts: frozenset[str]
    origins: frozenset[str]

    @classmethod
    def of(cls, resource: str, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> AllowedHosts:
        """This machine, the public URL's own host and origin, and those named besides."""
        public = urlsplit(resource)
        local = (f"{scheme}://{host}" for scheme in ("http", "https") for host in LOOPBACK)
        return cls(
            frozenset(host.lower() for host in (*LOOPBACK, public.netloc, *hosts)),
            frozenset(origin.lower() for origin in (*local, f"{public.scheme}://{public.netloc}", *origins)),
        )

    @property
    def origin_pattern(self) -> str:
        """A regular expression for the origins that are admitted, as browsers write them: in lower case."""
        return "|".join(
            f"{re.escape(origin)}{'' if _PORT.search(origin) else _ANY_PORT}" for origin in sorted(self.origins)
        )

    def admits_host(self, values: list[str]) -> bool:
        """Exactly one ``Host``, and one of ours."""
        return len(values) == 1 and _known(values[0], self.hosts)

    def admits_origin(self, values: list[str]) -> bool:
        """No ``Origin`` (not a browser), or exactly one, and one of ours; ``null`` is nobody's."""
        return not values or (len(values) == 1 and _known(values[0], self.origins))


def _known(value: str, allowed: frozenset[str]) -> bool:
    value = value.lower()
    return value in allowed or _PORT.sub("", value) in allowed
