"""Noun: the settings of the embedded token service: its clients and what each may have, users, keys, other issuers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from remit.settings.fields import Algorithm, Days, Name, Scope, SecretRef, Section, Url, WholeSeconds

Depth = Annotated[int, Field(ge=1, le=8)]
#: How a token says who acts for whom. There is no third one: a token that hides its actor is not issued.
ProfileName = Literal["rfc8693", "workload"]


class TargetSettings(Section):
    """One API a client may get tokens for. ``resource`` is its URI where it goes by one (RFC 8707).

    ``scopes`` are all that may be given there, of those the subject token holds; ``translate`` gives one for another:
    ``{scope to give: scope to hold}``. ``direct``: also a token of the client's own, with nobody behind it.
    ``profile: workload`` needs the client's too; ``bridge`` lets a subject token of the other profile in.
    ``require_actor``: an actor token must be sent.
    """

    audience: Name
    resource: Url | None = None
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    max_lifetime: WholeSeconds = 300
    max_depth: Depth = 8
    direct: bool = False
    profile: ProfileName = "rfc8693"
    bridge: bool = False
    translate: Mapping[Scope, Scope] = Field(default_factory=dict)
    require_actor: bool = False

    @model_validator(mode="after")
    def _translates_into_its_scopes(self) -> Self:
        if strangers := set(self.translate) - set(self.scopes):
            raise ValueError(f"translate gives {min(strangers)}, which is not among the target's scopes")
        return self


class ClientSettings(Section):
    """A client registered at the embedded token service.

    ``subject_audiences``: what a subject token may be issued for, besides the client itself, so that this
    client may exchange it. ``require_may_act``: the subject token must name this client in ``may_act``.
    ``profile: workload`` allows that profile where a target has it too. ``keep_client``: the client that the subject
    signed in through becomes the first link of the chain.
    """

    name: str = ""
    secret: SecretRef | None = None
    jwks_file: Path | None = None
    grants: Annotated[tuple[Literal["client_credentials", "token_exchange"], ...], Field(min_length=1)] = (
        "client_credentials",
        "token_exchange",
    )
    targets: tuple[TargetSettings, ...] = ()
    subject_audiences: tuple[Name, ...] = ()
    max_depth: Depth = 4
    max_lifetime: WholeSeconds | None = None
    profile: ProfileName = "rfc8693"
    require_may_act: bool = False
    keep_client: bool = False

    @model_validator(mode="after")
    def _can_prove_itself(self) -> Self:
        if (self.secret is None) == (self.jwks_file is None):
            raise ValueError("a client has exactly one of secret and jwks_file")
        return self

    @model_validator(mode="after")
    def _has_one_rule_for_a_target(self) -> Self:
        names = [name for target in self.targets for name in {target.audience, target.resource} - {None}]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two targets are called {min(map(str, twice))}: join them")
        return self

    @model_validator(mode="after")
    def _has_the_profile_of_its_targets(self) -> Self:
        for target in self.targets:
            if target.profile == "workload" and self.profile != "workload":
                raise ValueError(f"target {target.audience} has profile workload: allow it for the client too")
        return self


class UserSettings(Section):
    """A development user: ``remit call --as`` and ``remit token mint`` can speak for them. Not for production."""

    name: str = ""
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()


class SubjectIssuerSettings(Section):
    """Another issuer whose tokens may be exchanged here. Its users keep its name: ``sub_iss`` in what is issued.

    ``audiences`` narrows what its tokens may be for, of what the exchanging client accepts. ``subject_claim`` and
    ``scope_claim`` are where it says who the user is and what they may do.
    """

    issuer: Url
    jwks_uri: Url
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("ES256",)
    audiences: tuple[Name, ...] = ()
    typ: Annotated[tuple[str, ...], Field(min_length=1)] = ("at+jwt",)
    subject_claim: Name = "sub"
    scope_claim: Name = "scope"


class KeySettings(Section):
    """The token service's signing keys: how long one signs, how long it is published before that and after.

    ``publish_before`` is no less than APIs keep the published keys (they are told five minutes). ``retire_after`` is
    counted from the last token; the longest life of a token is added where that is more.
    """

    rotate_after: Days = 30 * 86_400
    publish_before: WholeSeconds = 900
    retire_after: WholeSeconds = 1200

    @model_validator(mode="after")
    def _is_published_first(self) -> Self:
        if self.publish_before >= self.rotate_after:
            raise ValueError("publish_before must be shorter than rotate_after")
        return self


class StsSettings(Section):
    """The embedded security token service. ``issuer`` defaults to ``public_url``.

    ``trust_identity_issuers``: the tokens of ``identity.issuers`` may be exchanged here too.
    """

    enabled: bool = True
    issuer: Url | None = None
    max_lifetime: WholeSeconds = 300
    keys: KeySettings = KeySettings()
    clients: Mapping[Name, ClientSettings] = Field(default_factory=dict)
    users: Mapping[Name, UserSettings] = Field(default_factory=dict)
    subject_issuers: tuple[SubjectIssuerSettings, ...] = ()
    trust_identity_issuers: bool = False
