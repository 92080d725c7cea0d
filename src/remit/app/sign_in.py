"""Path: the settings of the embedded authorization server → its parts, its endpoints, and what its pages tell."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from types import TracebackType
from typing import Final, Self

from starlette.routing import BaseRoute, Route

from remit import oauth
from remit.app import registry
from remit.app.wiring import App
from remit.audit.issuance import Issuance
from remit.authorization.assertion import AssertionIssuer, IdentityAssertions
from remit.authorization.authorizations import Authorizations, Lifetimes
from remit.authorization.authorize import Terms
from remit.authorization.claims import PersonClaims
from remit.authorization.client_authentication import SignInClients
from remit.authorization.consent import Ability
from remit.authorization.devices import Devices
from remit.authorization.directory import Directory
from remit.authorization.documents import ClientDocuments, client_for_strangers
from remit.authorization.endpoints import Offered, SignInEndpoints
from remit.authorization.file import AuthorizationsFile
from remit.authorization.page_routes import CALLBACK_PATH, PageParts, page_routes
from remit.authorization.passwords import PasswordFile, Passwords
from remit.authorization.person import Person
from remit.authorization.provider import Provider, ProviderClient
from remit.authorization.registration import Registration, registration_route
from remit.authorization.revoking import Ending
from remit.authorization.token_endpoint import GrantHandler, SignInGrants
from remit.authorization.upstream import Upstream, UpstreamTerms
from remit.catalog.tool import Tool
from remit.principal import Principal
from remit.settings.sign_in import AssertionIssuerSettings, ProviderSettings, UpstreamSettings
from remit.sts.endpoints import TOKEN_PATH
from remit.sts.grant import SecurityTokenService
from remit.sts.issued import IssuedTokens
from remit.sts.returning import Returning
from remit.tokens.dpop import DpopProofs
from remit.tokens.jwks import JwksClient
from remit.tokens.verifier import TrustedIssuer
from remit.web import HttpClient, http_client

#: The door by which policy is asked what somebody would give away.
_DOOR: Final = "sign-in"


class SignInDoor:
    """The embedded authorization server of ``app``. To be entered before it serves.

    Without ``sign_in.enabled`` there are no ``routes``, and ``service`` is ``None``.
    """

    def __init__(self, app: App) -> None:
        self.routes: list[BaseRoute] = []
        self.service: SignInEndpoints | None = None
        self._parts: _Parts | None = None
        if app.sts is not None and app.settings.sign_in.enabled:
            self._parts = _Parts(app, app.sts)
            self.service = self._parts.service()
            registration = self._parts.registration()
            self.routes = [*self.service.routes(), *page_routes(self._parts.pages()), *registration]

    async def __aenter__(self) -> Self:
        """Nothing has to be started."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish what was begun."""
        if self._parts is not None:
            await self._parts.aclose()


class _Parts:
    """What the authorization server is made of."""

    def __init__(self, app: App, sts: SecurityTokenService) -> None:
        settings = app.settings.sign_in
        self._app, self._sts = app, sts
        self._file = file = AuthorizationsFile(app.settings.authorizations_file, app.clock)
        self._passwords = Passwords(PasswordFile(app.settings.passwords_file))
        self._providers = http_client()
        self._people = _SettingsPeople(app)
        self._lifetimes = Lifetimes(settings.access_lifetime, settings.idle_lifetime, settings.lifetime)
        ending = Ending(app.revocations, app.trail.control, app.clock, settings.access_lifetime)
        self._authorizations = Authorizations(sts, file, self._people, app.clock, self._lifetimes, ending)
        strangers = client_for_strangers(local=settings.client_documents.allow_private)
        self._documents = ClientDocuments(strangers, app.clock, settings.client_documents.hosts)
        self._directory = Directory(
            registry.sign_in_clients(app.settings),
            file,
            self._documents if settings.client_documents.enabled else None,
            registration=settings.registration.enabled,
        )

    async def aclose(self) -> None:
        """Finish what was begun."""
        self._passwords.close()
        await self._documents.close()
        await self._providers.aclose()
        self._file.close()

    def registration(self) -> list[Route]:
        """Where clients register themselves, if they may."""
        settings = self._app.settings.sign_in.registration
        if not settings.enabled:
            return []
        record = self._app.trail.control
        registration = Registration(self._file, self._app.clock, limit=settings.limit, record=record)
        return [registration_route(self._sts.issuer, registration)]

    def service(self) -> SignInEndpoints:
        """What clients ask."""
        app, sts = self._app, self._sts
        audiences = frozenset({sts.issuer, sts.issuer.rstrip("/") + TOKEN_PATH})
        clients = SignInClients(self._directory, audiences, self._file, app.clock)
        grants = SignInGrants(
            clients,
            self._authorizations,
            DpopProofs(),
            open_record=partial(Issuance, app.store, app.clock),
            extra=self._assertions(),
        )
        issued = IssuedTokens(sts.issuer, sts.keys, app.clock)
        returning = Returning(issued, app.revocations, app.trail.control)
        return SignInEndpoints(clients, self._authorizations, grants, returning, self._offered())

    def _assertions(self) -> dict[str, GrantHandler]:
        """The grant for identity assertions, where somebody's are taken."""
        settings = self._app.settings.sign_in
        if not settings.assertion_issuers:
            return {}
        issuers = [_assertion_issuer(item, self._providers) for item in settings.assertion_issuers]
        audiences = _audiences(self._app)
        assertions = IdentityAssertions(self._authorizations, issuers, audiences, settings.default_scopes)
        return {oauth.GRANT_JWT_BEARER: assertions.grant}

    def pages(self) -> PageParts:
        """What people see."""
        app, settings = self._app, self._app.settings.sign_in
        return PageParts(
            issuer=self._sts.issuer,
            key=app.secret.key("sign-in pages"),
            clock=app.clock,
            file=self._file,
            people=self._people,
            directory=self._directory,
            authorizations=self._authorizations,
            devices=Devices(self._authorizations),
            passwords=self._passwords,
            audiences=_audiences(app),
            terms=Terms(CatalogAbilities(app), settings.scopes, settings.default_scopes, self._lifetimes.absolute),
            session_lifetime=settings.session_lifetime,
            upstream=self._upstream(settings.upstream) if settings.upstream else None,
            record=app.trail.control,
            logged_out=app.revocations,
        )

    def _upstream(self, settings: UpstreamSettings) -> Upstream:
        """The provider that people sign in at."""
        app = self._app
        terms = UpstreamTerms(
            client=ProviderClient(settings.client_id, registry.upstream_secret(app.settings)),
            redirect_uri=self._sts.issuer.rstrip("/") + CALLBACK_PATH,
            people=_person_claims(settings),
            algorithms=frozenset(settings.algorithms),
            ask=settings.ask,
        )
        provider = Provider(settings.issuer, self._providers, app.clock)
        return Upstream(provider, terms, self._file, app.clock, app.secret.key("sign-in upstream"))

    def _offered(self) -> Offered:
        settings = self._app.settings
        upstream = settings.sign_in.upstream
        by_group = upstream.scopes_by_group.values() if upstream else ()
        given = [user.scopes for user in settings.sts.users.values()] + [*by_group, upstream.scopes if upstream else ()]
        scopes = {scope for each in given for scope in each}
        return Offered(
            _audiences(self._app),
            tuple(sorted(scopes)),
            registration=settings.sign_in.registration.enabled,
            client_documents=settings.sign_in.client_documents.enabled,
        )


def _audiences(app: App) -> tuple[str, ...]:
    """What tokens can be had for, the MCP door first."""
    settings = app.settings
    gateway = settings.gateway_audiences if settings.gateway.routes else ()
    return tuple(dict.fromkeys((settings.mcp_resource, *settings.mcp_audiences, *gateway)))


def _assertion_issuer(item: AssertionIssuerSettings, http: HttpClient) -> AssertionIssuer:
    trusted = TrustedIssuer(item.issuer, frozenset(item.algorithms), JwksClient(item.jwks_uri, client=http))
    return AssertionIssuer(trusted, _person_claims(item), item.client_ids)


def _person_claims(item: ProviderSettings) -> PersonClaims:
    names = (item.subject_claim, item.name_claim, item.groups_claim, item.roles_claim)
    return PersonClaims(*names, item.scopes, item.scopes_by_group)


class _SettingsPeople:
    """The people of the settings, as they are now."""

    def __init__(self, app: App) -> None:
        self._app = app

    def find(self, sub: str) -> Person | None:
        """See ``remit.authorization.person.People``."""
        user = self._app.rules.users().get(sub)
        return Person(sub, "", user.name, user.groups, user.roles, user.scopes) if user else None


# ── what the consent page tells ──────────────────────────────────────────────────────────


class CatalogAbilities:
    """Which tools a client could use for a person, by the policy in force."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, person: Person, client_id: str, scopes: tuple[str, ...]) -> Sequence[Ability]:
        """Each tool that policy shows and whose scopes are all among ``scopes``, under what opens it.

        A tool that changes something stands under the scopes that no tool needs that only reads, where it has any: those
        are what it takes to change something.
        """
        tools = await self._app.bridge.tools_for(_DOOR, _principal(self._app, person, client_id, scopes))
        usable = [tool for tool in tools if set(tool.auth.user_scopes) <= set(scopes)]
        for_reading = {scope for tool in usable if tool.annotations.read_only for scope in tool.auth.user_scopes}
        return [ability for tool in usable for ability in _abilities(tool, for_reading)]


def _abilities(tool: Tool, for_reading: AbstractSet[str]) -> list[Ability]:
    scopes, writes = tool.auth.user_scopes or ("",), not tool.annotations.read_only
    if writes:
        scopes = tuple(scope for scope in scopes if scope not in for_reading) or scopes
    return [Ability(scope, tool.title or tool.name, writes) for scope in scopes]


def _principal(app: App, person: Person, client_id: str, scopes: tuple[str, ...]) -> Principal:
    """Who they will be once they have their token."""
    issuer = app.settings.issuer
    return Principal(
        person.sub,
        person.issuer or issuer,
        client_id,
        token_issuer=issuer,
        audience=app.settings.mcp_audiences,
        scopes=scopes,
        groups=person.groups,
        roles=person.roles,
        name=person.name,
        auth_time=int(app.clock.now()),
        expires_at=int(app.clock.now()) + app.settings.sign_in.access_lifetime,
    )
