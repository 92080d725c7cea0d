"""Noun: the settings of the embedded authorization server: how people sign in, and through which clients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from remit.settings.fields import Algorithm, Days, Name, Scope, SecretRef, Section, Url, WholeSeconds

Text = Annotated[str, Field(max_length=200)]


class SignInClientSettings(Section):
    """A client registered by the operator. Without secret and keys it is a public one.

    ``grants`` beside the default: ``device_code``, and ``jwt_bearer`` for identity assertions (ID-JAG).
    """

    name: Text = ""
    redirect_uris: tuple[Text, ...] = ()
    secret: SecretRef | None = None
    jwks_file: Path | None = None
    scopes: tuple[Scope, ...] = ()
    grants: tuple[Literal["authorization_code", "device_code", "jwt_bearer"], ...] = ("authorization_code",)

    @model_validator(mode="after")
    def _has_what_its_grants_need(self) -> Self:
        if self.secret is not None and self.jwks_file is not None:
            raise ValueError("a client has at most one of secret and jwks_file")
        if "jwt_bearer" in self.grants and self.secret is None and self.jwks_file is None:
            raise ValueError("a client with the grant jwt_bearer needs secret or jwks_file")
        if "authorization_code" in self.grants and not self.redirect_uris:
            raise ValueError("a client with the grant authorization_code needs redirect_uris")
        return self


class ProviderSettings(Section):
    """Another provider that knows people, and what its tokens say of them.

    ``scopes`` is what everybody from there may give to a client, ``scopes_by_group`` what members of a group may besides.
    """

    issuer: Url
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "ES256")
    subject_claim: Name = "sub"
    name_claim: Name = "name"
    groups_claim: Name = "groups"
    roles_claim: Name = "roles"
    scopes: tuple[Scope, ...] = ()
    scopes_by_group: Mapping[str, tuple[Scope, ...]] = Field(default_factory=dict)


class UpstreamSettings(ProviderSettings):
    """An OpenID Connect provider that people sign in at; its ID token says who they are."""

    client_id: Text
    client_secret: SecretRef | None = None
    ask: tuple[Scope, ...] = ("openid", "profile")

    @model_validator(mode="after")
    def _asks_who_they_are(self) -> Self:
        if "openid" not in self.ask:
            raise ValueError("ask must have openid: without it there is no ID token")
        return self


class AssertionIssuerSettings(ProviderSettings):
    """An identity provider whose identity assertions (ID-JAG) are taken for access tokens.

    ``client_ids``: its name of a client → the client's id here, where the two differ.
    """

    jwks_uri: Url
    client_ids: Mapping[str, Name] = Field(default_factory=dict)


class ClientDocumentSettings(Section):
    """Client ID Metadata Documents: clients whose id is an ``https`` URL that says what they are.

    ``hosts``: the only hosts such a URL may name; empty: any public one. ``allow_private`` takes private and loopback
    addresses too: for tests and closed networks.
    """

    enabled: bool = True
    hosts: tuple[Text, ...] = ()
    allow_private: bool = False


class RegistrationSettings(Section):
    """Dynamic client registration (RFC 7591), for clients that can do nothing else. ``limit``: how many there may be."""

    enabled: bool = True
    limit: Annotated[int, Field(ge=1, le=100_000)] = 1000


class SignInSettings(Section):
    """The embedded authorization server. Off unless switched on.

    ``passwords``: the file of their hashes; default: ``passwords`` in the state directory. ``scopes``: what a scope
    lets a client do, in words for the person who is asked. ``default_scopes``: what a client gets that names none;
    empty: whatever the person may give.
    """

    enabled: bool = False
    passwords: Path | None = None
    upstream: UpstreamSettings | None = None
    clients: Mapping[Name, SignInClientSettings] = Field(default_factory=dict)
    client_documents: ClientDocumentSettings = ClientDocumentSettings()
    registration: RegistrationSettings = RegistrationSettings()
    assertion_issuers: tuple[AssertionIssuerSettings, ...] = ()
    scopes: Mapping[Scope, Text] = Field(default_factory=dict)
    default_scopes: tuple[Scope, ...] = ()
    access_lifetime: WholeSeconds = 600
    session_lifetime: WholeSeconds = 8 * 3600
    idle_lifetime: Days = 14 * 86_400
    lifetime: Days = 90 * 86_400

    @model_validator(mode="after")
    def _is_over_in_order(self) -> Self:
        if not self.access_lifetime <= self.idle_lifetime <= self.lifetime:
            raise ValueError("access_lifetime, idle_lifetime and lifetime have to be in this order")
        return self
