"""Noun: the registered clients and what each may have tokens for. ``Clients`` can be replaced while serving."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from remit import oauth
from remit.credential import Credential
from remit.errors import SettingsInvalid
from remit.principal import MAX_CHAIN_DEPTH, Profile

#: Seconds; what a token's life is unless something makes it shorter.
DEFAULT_LIFETIME: Final = 300
_GRANTS: Final = frozenset({oauth.GRANT_CLIENT_CREDENTIALS, oauth.GRANT_TOKEN_EXCHANGE})
_AUTH_METHODS: Final = frozenset({oauth.CLIENT_SECRET_BASIC, oauth.CLIENT_SECRET_POST, oauth.PRIVATE_KEY_JWT})
_NO_SECRET: Final = bytes(32)  # no text is known that has this SHA-256


@dataclass(frozen=True, slots=True)
class TargetRule:
    """One API a client may have tokens for, by its audience, its resource URI, or both; ``audience`` goes before.

    ``scopes`` are all that may ever be given, ``max_lifetime`` is in seconds. ``direct``: the client may also have
    a token of its own here (client credentials), with no user behind it. ``profile`` is the one its delegated tokens
    are written in; ``bridge`` lets a subject token of the other one in. ``translate``: a scope that may be given →
    the scope the subject token must hold for it. ``require_actor``: an actor token must be sent. ``max_depth``
    bounds the chain, as the client's own does.
    """

    audience: str = ""
    resource: str = ""
    scopes: tuple[str, ...] = ()
    max_lifetime: int = DEFAULT_LIFETIME
    direct: bool = False
    profile: Profile = Profile.RFC8693
    bridge: bool = False
    translate: Mapping[str, str] = field(default_factory=dict, hash=False)
    require_actor: bool = False
    max_depth: int = MAX_CHAIN_DEPTH

    def __post_init__(self) -> None:
        if not self.names:
            raise SettingsInvalid("a target has neither audience nor resource")
        if not self.scopes:
            raise SettingsInvalid(f'target "{self.aud}" has no scopes', hint="list the scopes that may be given there")
        if self.max_lifetime < 1:
            raise SettingsInvalid(f'target "{self.aud}" has no lifetime')
        if not self.translate.keys() <= set(self.scopes):
            raise SettingsInvalid(
                f'target "{self.aud}" translates into a scope that is not among its scopes',
                hint="write {scope to give: scope to hold}, and list the former under scopes too",
            )
        if not 1 <= self.max_depth <= MAX_CHAIN_DEPTH:
            raise SettingsInvalid(f'target "{self.aud}" has a max_depth outside 1 to {MAX_CHAIN_DEPTH}')

    @property
    def names(self) -> frozenset[str]:
        """What the target may be called in a request."""
        return frozenset({self.audience, self.resource} - {""})

    @property
    def aud(self) -> str:
        """What the target is called in a token."""
        return self.audience or self.resource

    def scopes_for(self, held: Collection[str]) -> tuple[str, ...]:
        """The scopes that may be given to whoever holds ``held``: the same ones, and those translated from them."""
        return tuple(scope for scope in self.scopes if scope in held or self.translate.get(scope) in held)


@dataclass(frozen=True, slots=True)
class Client:
    """A confidential client. It proves itself by ``secret_digest`` (SHA-256) or by a key of ``jwks``.

    ``subject_audiences``: what a subject token may be issued for, besides the client's own id, so that this client
    may exchange it. ``max_depth`` bounds the actor chain of the tokens it gets. ``profile``: ``workload`` lets it
    have tokens of that profile where the target says so too. ``require_may_act``: a subject token must name it in
    ``may_act``. ``own_clients``: as for ``chain_with_client``: whether the client that a subject signed in through is
    kept as the first link of the chain. ``takes_bound``: it may exchange a subject token that is bound to a key
    (RFC 9449), because it has seen the proof of that key itself. It gets a bearer token, which is no downgrade: another
    token, for another audience, that lives for minutes and never goes back to whoever holds the key. One without
    secret and keys cannot authenticate at all.
    """

    client_id: str
    name: str = ""
    secret_digest: bytes = field(default=b"", repr=False)
    jwks: Mapping[str, Any] | None = field(default=None, repr=False)
    auth_methods: frozenset[str] = _AUTH_METHODS
    grants: frozenset[str] = _GRANTS
    targets: tuple[TargetRule, ...] = ()
    subject_audiences: frozenset[str] = frozenset()
    max_depth: int = 4
    max_lifetime: int = DEFAULT_LIFETIME
    profile: Profile = Profile.RFC8693
    require_may_act: bool = False
    own_clients: frozenset[str] | None = None
    takes_bound: bool = False

    def __post_init__(self) -> None:
        names = [name for rule in self.targets for name in rule.names]
        if len(set(names)) != len(names):
            raise SettingsInvalid(f'client "{self.client_id}" has two targets of one name', hint="join the two")
        if not 1 <= self.max_depth <= MAX_CHAIN_DEPTH:
            raise SettingsInvalid(f'client "{self.client_id}" has a max_depth outside 1 to {MAX_CHAIN_DEPTH}')
        if not self.grants <= _GRANTS or not self.auth_methods <= _AUTH_METHODS:
            raise SettingsInvalid(f'client "{self.client_id}" has a grant or authentication method that is not served')

    def with_secret(self, secret: Credential) -> Self:
        """This client, proven by ``secret``. Secrets are made by machines and long, so a plain digest will do."""
        if len(secret.reveal()) < 16:
            raise SettingsInvalid(
                f'the secret of client "{self.client_id}" is shorter than 16 characters',
                where=f"sts.clients.{self.client_id}.secret",
                hint="make one with: openssl rand -base64 32",
            )
        return replace(self, secret_digest=secret.digest)

    @property
    def accepted_audiences(self) -> frozenset[str]:
        """What a subject token may be issued for so that this client may exchange it."""
        return self.subject_audiences | {self.client_id}

    def rule_for(self, name: str) -> TargetRule | None:
        """The rule of the target that a request calls ``name``."""
        return next((rule for rule in self.targets if name and name in (rule.audience, rule.resource)), None)


class Clients(Mapping[str, Client]):
    """The clients in force, by id. ``replace`` exchanges them all at once; whoever holds this sees the new ones."""

    def __init__(self, clients: Mapping[str, Client]) -> None:
        self._clients = clients

    def replace(self, clients: Mapping[str, Client]) -> None:
        """These from now on."""
        self._clients = clients

    def __getitem__(self, client_id: str) -> Client:
        return self._clients[client_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._clients)

    def __len__(self) -> int:
        return len(self._clients)


def check_secret(digest: bytes, secret: Credential) -> bool:
    """Whether ``secret`` has this SHA-256; takes as long where there is none (``b""``)."""
    return hmac.compare_digest(secret.digest, digest or _NO_SECRET)
