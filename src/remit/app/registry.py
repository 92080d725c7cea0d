"""Rule: settings → the values the parts are made of: clients, users, the runner's own proof.

Secrets are read here, when the parts are made, and not before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from remit import oauth
from remit.authorization.client import LOGIN_CLIENT, SignInClient, Source
from remit.credential import Credential
from remit.errors import SettingsInvalid
from remit.exchange.client_auth import ClientAuthentication, ClientSecretBasic, ClientSecretPost, PrivateKeyJwt
from remit.exchange.declared import Declared
from remit.principal import Profile
from remit.settings import Settings, SubjectIssuerSettings, TargetSettings, read_secret
from remit.sts.clients import Client, TargetRule
from remit.sts.users import DevelopmentUser
from remit.tokens.introspection import IntrospectionEndpoint
from remit.tokens.jwks import StaticKeys

_SIGN_IN_GRANTS: Final = {
    "authorization_code": oauth.GRANT_AUTHORIZATION_CODE,
    "device_code": oauth.GRANT_DEVICE_CODE,
    "jwt_bearer": oauth.GRANT_JWT_BEARER,
}
_GRANTS: Final = {
    "client_credentials": oauth.GRANT_CLIENT_CREDENTIALS,
    "token_exchange": oauth.GRANT_TOKEN_EXCHANGE,
}


def clients(settings: Settings) -> dict[str, Client]:
    """The registered clients of the embedded token service, by id."""
    return {client_id: client(client_id, settings) for client_id in settings.sts.clients}


def sign_in_clients(settings: Settings) -> dict[str, SignInClient]:
    """The clients that people sign in through, as the operator registered them, by id."""
    return {client_id: _sign_in_client(client_id, settings) for client_id in settings.sign_in.clients}


def upstream_secret(settings: Settings) -> Credential | None:
    """What this service proves itself with at the provider that people sign in at. Raises ``SettingsInvalid``."""
    upstream = settings.sign_in.upstream
    if upstream is None or upstream.client_secret is None:
        return None
    return read_secret(upstream.client_secret, "sign_in.upstream.client_secret")


def _sign_in_client(client_id: str, settings: Settings) -> SignInClient:
    registered, where = settings.sign_in.clients[client_id], f"sign_in.clients.{client_id}"
    if client_id in settings.sts.clients or client_id == LOGIN_CLIENT:
        raise SettingsInvalid(f'"{client_id}" is a client already', where=where, hint="give it another id")
    grants = {oauth.GRANT_REFRESH_TOKEN, *(_SIGN_IN_GRANTS[name] for name in registered.grants)}
    client = SignInClient(
        client_id,
        registered.name or client_id,
        Source.SETTINGS,
        redirect_uris=registered.redirect_uris,
        grants=frozenset(grants),
        scopes=registered.scopes,
    )
    if registered.jwks_file is not None:
        return replace(client, auth_method=oauth.PRIVATE_KEY_JWT, jwks=_jwks(registered.jwks_file, where))
    if registered.secret is None:
        return client
    digest = read_secret(registered.secret, f"{where}.secret").digest
    return replace(client, auth_method=oauth.CLIENT_SECRET_BASIC, secret_digest=digest)


def users(settings: Settings) -> dict[str, DevelopmentUser]:
    """The development users, by id."""
    return {
        user_id: DevelopmentUser(user_id, name=user.name, groups=user.groups, roles=user.roles, scopes=user.scopes)
        for user_id, user in settings.sts.users.items()
    }


def subject_issuers(settings: Settings) -> tuple[SubjectIssuerSettings, ...]:
    """The other issuers whose tokens may be exchanged at the embedded token service, but for the one that is asked."""
    trusted = settings.identity.issuers if settings.sts.trust_identity_issuers else ()
    found = (
        *settings.sts.subject_issuers,
        *(
            SubjectIssuerSettings(
                issuer=item.issuer, jwks_uri=item.jwks_uri, algorithms=item.algorithms, typ=settings.identity.typ
            )
            for item in trusted
            if item.jwks_uri
        ),
    )
    names = [
        settings.issuer,
        *(item.issuer for item in settings.sts.subject_issuers),
        *(item.issuer for item in trusted),
    ]
    if len(set(names)) != len(names):
        raise SettingsInvalid(
            "an issuer of subject tokens is named twice, or is the embedded token service itself",
            where="sts.subject_issuers",
            hint="name each other issuer once, here or (with trust_identity_issuers) under identity.issuers",
        )
    return found


def introspection(settings: Settings) -> IntrospectionEndpoint | None:
    """Where the one issuer of ``identity.issuers`` is asked that has to be asked about its tokens."""
    for index, item in enumerate(settings.identity.issuers):
        if (asked := item.introspection) is None:
            continue
        secret = read_secret(asked.client_secret, f"identity.issuers.{index}.introspection.client_secret")
        method = ClientSecretBasic if asked.auth == "client_secret_basic" else ClientSecretPost
        proof = method(asked.client_id, secret).prove(now=0)
        return IntrospectionEndpoint(item.issuer, asked.endpoint, proof.headers, proof.fields)
    return None


def runner(settings: Settings) -> Client:
    """The agent runner as the embedded token service knows it.

    The runner and the service share this process and these settings, so the runner's own copy of the secret is
    compared with the registered one here, once, instead of at every exchange.
    """
    agent = settings.agent
    registered = settings.sts.clients.get(agent.client_id)
    if registered is None:
        known = ", ".join(settings.sts.clients) or "none"
        raise SettingsInvalid(
            f'"{agent.client_id}" is no client of the embedded token service (known: {known})',
            where="agent.client_id",
            hint=f"register it under sts.clients.{agent.client_id}",
        )
    runner_client = client(agent.client_id, settings)
    if agent.client_secret is not None:
        own = read_secret(agent.client_secret, "agent.client_secret")
        if own.digest != runner_client.secret_digest:
            raise SettingsInvalid(
                "the agent's secret is not the one registered for it",
                where="agent.client_secret",
                hint=f"name the same secret as sts.clients.{agent.client_id}.secret",
            )
    elif registered.secret is not None:
        raise SettingsInvalid(
            "the agent has no secret of its own to prove itself with",
            where="agent.client_secret",
            hint="name it: {file: PATH} or {env: NAME}",
        )
    return runner_client


def client_authentication(settings: Settings) -> ClientAuthentication:
    """How the agent runner proves itself at a remote token service."""
    agent = settings.agent
    if agent.auth == "private_key_jwt" and agent.private_key is not None:
        pem = read_secret(agent.private_key, "agent.private_key")
        return PrivateKeyJwt.from_pem(agent.client_id, pem, audience=settings.exchange.issuer or "")
    if agent.client_secret is None:
        raise SettingsInvalid(
            "the agent has no secret to prove itself with at the token service",
            where="agent.client_secret",
            hint="name it: {file: PATH} or {env: NAME}",
        )
    secret = read_secret(agent.client_secret, "agent.client_secret")
    method = ClientSecretBasic if agent.auth == "client_secret_basic" else ClientSecretPost
    return method(agent.client_id, secret)


def declared(settings: Settings) -> Declared:
    """How the token service's tokens differ from what the RFCs say."""
    expect = settings.exchange.expect
    return Declared(
        typ=frozenset(settings.exchange.typ),
        client_claim=expect.client_claim,
        act_required=expect.act == "required",
        aud_required=expect.aud == "required",
        within_subject=expect.exp == "within_subject",
    )


def acting_as(settings: Settings, agent: str) -> Settings:
    """The same settings with another registered client as the agent runner (`remit call --agent`)."""
    registered = settings.sts.clients.get(agent)
    if registered is None or settings.exchange.service != "embedded":
        known = ", ".join(settings.sts.clients) or "none"
        raise SettingsInvalid(
            f'no client "{agent}" is registered at the embedded token service (known: {known})',
            where="--agent",
            hint="choose one of `sts.clients`, or leave --agent out",
        )
    changed = settings.agent.model_copy(update={"client_id": agent, "client_secret": registered.secret})
    return settings.model_copy(update={"agent": changed})


def development_user(settings: Settings, user: str) -> DevelopmentUser:
    """A development user. Raises ``SettingsInvalid`` for one that is not in the settings."""
    known = users(settings)
    found = known.get(user)
    if found is None:
        raise SettingsInvalid(
            f'no development user "{user}" (known: {", ".join(known) or "none"})',
            where="sts.users",
            hint="add the user, or choose another",
        )
    return found


def client(client_id: str, settings: Settings) -> Client:
    """One registered client. Raises ``SettingsInvalid``, also where its secret or keys cannot be read."""
    registered, where = settings.sts.clients[client_id], f"sts.clients.{client_id}"
    made = Client(
        client_id=client_id,
        name=registered.name,
        jwks=_jwks(registered.jwks_file, where) if registered.jwks_file else None,
        grants=frozenset(_GRANTS[name] for name in registered.grants),
        targets=tuple(_target(target) for target in registered.targets),
        subject_audiences=frozenset(registered.subject_audiences) | _own_doors(settings, client_id),
        max_depth=registered.max_depth,
        max_lifetime=min(settings.sts.max_lifetime, registered.max_lifetime or settings.sts.max_lifetime),
        profile=Profile(registered.profile),
        require_may_act=registered.require_may_act,
        own_clients=_own_clients(client_id) if registered.keep_client else None,
    )
    if client_id == settings.agent.client_id:
        # Its doors have checked the proof of a bound token before it comes to be exchanged.
        made = replace(made, own_clients=own_clients(settings) or made.own_clients, takes_bound=True)
    return made.with_secret(read_secret(registered.secret, f"{where}.secret")) if registered.secret else made


def own_clients(settings: Settings) -> frozenset[str] | None:
    """This installation's own clients, which act for nobody. ``None``: it is the agent itself, so none other is kept."""
    return _own_clients(settings.agent.client_id) if settings.agent.acting == "caller" else None


def _own_clients(client_id: str) -> frozenset[str]:
    """People sign in through these to use remit itself, or the client that exchanges: nobody else acts then."""
    return frozenset({client_id, LOGIN_CLIENT})


def _target(target: TargetSettings) -> TargetRule:
    return TargetRule(
        audience=target.audience,
        resource=target.resource or "",
        scopes=target.scopes,
        max_lifetime=target.max_lifetime,
        direct=target.direct,
        profile=Profile(target.profile),
        bridge=target.bridge,
        translate=target.translate,
        require_actor=target.require_actor,
        max_depth=target.max_depth,
    )


def _own_doors(settings: Settings, client_id: str) -> frozenset[str]:
    """What this server's doors go by: the agent runner exchanges the tokens that were issued for them."""
    if client_id != settings.agent.client_id:
        return frozenset()
    return frozenset({settings.mcp_resource, *settings.identity.audiences, *settings.gateway_audiences})


def _jwks(file: Path, where: str) -> Mapping[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsInvalid(f"the client's keys cannot be read: {error}", where=f"{where}.jwks_file") from error
    if not isinstance(document, dict):
        raise SettingsInvalid("the client's keys are no JWKS document", where=f"{where}.jwks_file")
    try:
        StaticKeys(document)
    except SettingsInvalid as error:
        raise SettingsInvalid(error.message, where=f"{where}.jwks_file", hint=error.hint) from error
    return document
