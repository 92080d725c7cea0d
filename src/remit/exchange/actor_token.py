"""Door: the agent runner's own token, got with its own credentials and kept until shortly before it expires."""

from __future__ import annotations

from remit.clock import Clock
from remit.credential import Credential
from remit.exchange.messages import ClientCredentialsRequest, Target
from remit.exchange.service import TokenService
from remit.exchange.single_flight import SingleFlight


class ActorTokens:
    """The current actor token of one client. The token is *not* verified here: whoever relies on it does that.

    Reused until 10 seconds before its end or four fifths of its life, whichever comes first, so that a delegated
    token, which never outlives it, is not cut short. One request at a time, however many wait.
    """

    def __init__(self, service: TokenService, target: Target, clock: Clock) -> None:
        self._service = service
        self._request = ClientCredentialsRequest(target)
        self._clock = clock
        self._token: Credential | None = None
        self._reuse_until = 0.0
        self._fetched = SingleFlight(self._fetch)

    async def __call__(self) -> Credential:
        """The token. Raises leaves of ``ExchangeError``."""
        if self._token is not None and self._clock.now() < self._reuse_until:
            return self._token
        return await self._fetched()

    async def renew(self) -> Credential:
        """A new token, whatever is remembered. Raises leaves of ``ExchangeError``."""
        self._token = None
        return await self._fetched()

    async def _fetch(self) -> Credential:
        asked = self._clock.now()
        issued = await self._service.issue(self._request)
        lifetime = issued.expires_in or 0  # a service that does not say how long is asked every time
        self._token = issued.access_token
        self._reuse_until = asked + min(lifetime - 10, lifetime * 0.8)
        return issued.access_token
