"""Rule: settings → the parts of a login: where to sign in, as what client, where it is kept; and the offer to do so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from remit.authorization.client import LOGIN_CLIENT
from remit.clock import Clock
from remit.credential import Credential
from remit.doors.mcp.contract import SignInOffer
from remit.errors import SettingsInvalid, SignInFailed, SignInUnavailable
from remit.login.asking import connected
from remit.login.browser import sign_in_by_browser
from remit.login.login import LoginClient, LoginTarget
from remit.login.metadata import discover
from remit.login.pending import PendingSignIn
from remit.login.store import LoginStore, keep, own_folder
from remit.login.tokens import Served
from remit.settings import DEFAULT_FILE, Settings, read_secret


def login_target(settings: Settings, *, issuer: str = "", client_id: str = "") -> LoginTarget | None:
    """Where the person at this machine signs in; ``None`` where the settings do not say.

    ``issuer`` and ``client_id`` win over the settings.
    """
    issuer = issuer or settings.login.issuer or _issuer(settings)
    client_id = client_id or settings.login.client_id or (LOGIN_CLIENT if _is_own(settings, issuer) else "")
    return LoginTarget(issuer, client_id, settings.mcp_resource) if issuer and client_id else None


def login_client(
    settings: Settings, *, issuer: str = "", client_id: str = "", scopes: tuple[str, ...] = ()
) -> LoginClient:
    """The client that the person at this machine signs in through. Raises ``SettingsInvalid``."""
    target = login_target(settings, issuer=issuer, client_id=client_id)
    if target is None:
        known = issuer or settings.login.issuer or _issuer(settings)
        missing = "login.client_id" if known else "login.issuer"
        raise SettingsInvalid(
            "the settings do not say where to sign in" if not known else f"no client is known at {known}",
            where=missing,
            hint=f"set {missing}, or switch the embedded authorization server on with sign_in.enabled",
        )
    return LoginClient(target, scopes or settings.login.scopes, _secret_of(settings, target))


def known_client(settings: Settings, target: LoginTarget) -> LoginClient:
    """The client of a login that there is."""
    return LoginClient(target, secret=_secret_of(settings, target))


def offers_login(settings: Settings) -> bool:
    """Whether stdio sessions and single calls speak for whoever signed in with `remit login`."""
    return settings.login.enabled and login_target(settings) is not None


def login_store(settings: Settings) -> LoginStore:
    """Where logins are kept."""
    return LoginStore(settings.login.folder or own_folder(), keep=settings.login.store)


def what_to_run(settings: Settings) -> str:
    """One sentence for somebody who is not signed in. The settings file is named where it is not the one here."""
    file = settings.file
    here = file is None or file == Path.cwd() / DEFAULT_FILE
    return "nobody is signed in: run `remit login`" if here else f'nobody is signed in: run `remit -c "{file}" login`'


async def is_answered(settings: Settings, issuer: str) -> bool:
    """Whether the issuer is served, or is at least not for this process to serve: another one's, or elsewhere."""
    own = urlsplit(issuer)
    if not _is_own(settings, issuer) or (own.scheme, own.netloc) != ("http", settings.listen):
        return True
    async with connected() as http:
        try:
            await discover(issuer, http)
        except SignInUnavailable:
            return False
        except SignInFailed:  # something else does, and whoever signs in is told so
            return True
    return True


class OfferedSignIn:
    """What a door offers to somebody who is not signed in (``remit.doors.mcp.contract.SignIn``).

    ``tell`` is called once they are.
    """

    def __init__(self, client: LoginClient, store: LoginStore, clock: Clock, *, served: Served) -> None:
        self._client = client
        self._store = store
        self._clock = clock
        self._served = served
        self._pending = PendingSignIn(self._sign_in)
        self.tell: Callable[[], Awaitable[None]] | None = None

    async def begin(self) -> SignInOffer:
        """The sign-in that is under way, or a new one."""
        url = await self._pending.url()
        host = urlsplit(self._client.target.issuer).netloc
        return SignInOffer(url, f"Sign in at {host}, so that these tools can act on your behalf.")

    async def finished(self, seconds: float) -> bool:
        """Whether somebody has signed in, within ``seconds``."""
        return await self._pending.finished(seconds)

    async def aclose(self) -> None:
        """Give up a sign-in that is under way."""
        await self._pending.aclose()

    async def _sign_in(self, show: Callable[[str], None]) -> None:
        async with self._served():
            login = await sign_in_by_browser(self._client, self._clock, show)
        await keep(self._store, login)
        if self.tell is not None:
            await self.tell()


def _issuer(settings: Settings) -> str:
    """The embedded authorization server, else the one external issuer; empty where there are none or several."""
    if settings.sign_in.enabled:
        return settings.issuer
    issuers = settings.identity.issuers
    return issuers[0].issuer if len(issuers) == 1 else ""


def _is_own(settings: Settings, issuer: str) -> bool:
    return settings.sign_in.enabled and issuer == settings.issuer


def _secret_of(settings: Settings, target: LoginTarget) -> Credential | None:
    secret = settings.login.client_secret
    if secret is None or target != login_target(settings):  # it is for that issuer's eyes alone
        return None
    return read_secret(secret, "login.client_secret")
