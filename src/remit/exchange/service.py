"""Door: ``TokenService``, one small interface to whatever issues tokens, and its two implementations.

``RemoteTokenService`` speaks to any RFC 8693 token endpoint over HTTP; ``EmbeddedTokenService`` calls the grant of
a token service in this process. Both take the same request and return the same answer, so each test of an
exchange can run against both. Neither believes what the token says: ``remit.exchange.exchanger`` checks that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

import httpx

from remit.clock import Clock
from remit.errors import AccessDenied, GrantError, PolicyDenied, SettingsInvalid
from remit.exchange.client_auth import ClientAuthentication
from remit.exchange.discovery import discover
from remit.exchange.messages import IssuedToken, TokenExchangeRequest, TokenRequest
from remit.exchange.sending import send
from remit.exchange.single_flight import SingleFlight
from remit.exchange.token_response import read_token_response, refused
from remit.web import is_secure

#: A grant of a token service, already bound to the authenticated client: form in, JSON out; raises ``GrantError``.
Grant = Callable[[Mapping[str, Sequence[str]]], Awaitable[Mapping[str, Any]]]


class TokenService(Protocol):
    """Issues tokens to the client ``client_id``."""

    @property
    def client_id(self) -> str:
        """Who asks."""
        ...

    async def issue(self, request: TokenRequest) -> IssuedToken:
        """Ask for a token. Raises ``ExchangeRefused``, ``ExchangeUnavailable`` or ``ExchangeInvalid``."""
        ...


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """A remote token service. Without ``url`` its metadata say where its token endpoint is (RFC 8414).

    ``seconds`` bounds each request as a whole. ``issued_token_type_required`` off is for services that leave out
    what RFC 8693 §2.2.1 requires.
    """

    issuer: str
    url: str = ""
    seconds: float = 10.0
    issued_token_type_required: bool = True

    def __post_init__(self) -> None:
        for name, value in (("issuer", self.issuer), ("token endpoint", self.url or self.issuer)):
            if not is_secure(value):
                raise SettingsInvalid(f"the {name} is no address that a credential may be sent to", hint="use https")


class RemoteTokenService:
    """A token endpoint over HTTP."""

    def __init__(
        self, endpoint: TokenEndpoint, authentication: ClientAuthentication, http: httpx.AsyncClient, clock: Clock
    ) -> None:
        self._endpoint = endpoint
        self._authentication = authentication
        self._http = http
        self._clock = clock
        self._url = endpoint.url
        self._discovered = SingleFlight(self._discover)

    @property
    def client_id(self) -> str:
        """Who asks."""
        return self._authentication.client_id

    async def issue(self, request: TokenRequest) -> IssuedToken:
        """Ask for a token; redirects are not followed, and only a connection that never came about is tried again."""
        url = self._url or await self._discovered()
        message = self._message(url, request)
        answer = await send(self._http, message, self._endpoint.seconds)
        required = isinstance(request, TokenExchangeRequest) and self._endpoint.issued_token_type_required
        return read_token_response(answer, issued_token_type_required=required)

    def _message(self, url: str, request: TokenRequest) -> httpx.Request:
        proof = self._authentication.prove(now=self._clock.now())
        headers = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Accept", "application/json"),
            *proof.headers,
        ]
        body = urlencode([*request.to_form(), *proof.fields])
        return self._http.build_request("POST", url, content=body.encode("ascii"), headers=headers)

    async def _discover(self) -> str:
        """The token endpoint, kept for the life of the process once it is known."""
        metadata = await discover(self._endpoint.issuer, self._http, seconds=self._endpoint.seconds)
        self._url = metadata.token_endpoint
        return self._url


class EmbeddedTokenService:
    """A token service in this process: the same form and the same answer, without a socket between."""

    def __init__(self, client_id: str, grant: Grant) -> None:
        self._client_id = client_id
        self._grant = grant

    @property
    def client_id(self) -> str:
        """Who asks."""
        return self._client_id

    async def issue(self, request: TokenRequest) -> IssuedToken:
        """Ask for a token. Besides ``ExchangeError`` leaves it raises ``PolicyDenied``: the policy is this process's."""
        form: dict[str, list[str]] = {}
        for name, value in request.to_form():
            form.setdefault(name, []).append(value)
        try:
            document = await self._grant(form)
        except AccessDenied as error:
            raise PolicyDenied(error.message, detail=error.detail, hint=error.hint) from error
        except GrantError as error:
            raise refused(error.code, f"{error.message} {error.detail}".strip(), status=error.status) from error
        exchange = isinstance(request, TokenExchangeRequest)
        return IssuedToken.from_json(document, issued_token_type_required=exchange)
