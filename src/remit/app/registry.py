"""Rule: settings → the values the parts are made of: clients, users, the runner's own proof.

Secrets are read here, when the parts are made, and not before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from remit.errors import SettingsInvalid
from remit.exchange.client_auth import ClientAuthentication, ClientSecretBasic, ClientSecretPost, PrivateKeyJwt
from remit.exchange.declared import Declared
from remit.settings import ClientSettings, Settings, read_secret
from remit.sts.clients import Client, TargetRule
from remit.sts.users import DevelopmentUser

#: The client a development user is said to have signed in through.
SIGN_IN_CLIENT: Final = "development-sign-in"


def clients(settings: Settings) -> dict[str, Client]:
    """The registered clients of the embedded token service, by id."""
    return {client_id: _client(client_id, client, settings) for client_id, client in settings.sts.clients.items()}


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
    client = _client(agent.client_id, registered, settings)
    if agent.client_secret is not None:
        own = read_secret(agent.client_secret, "agent.client_secret")
        if own.digest != client.secret_digest:
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
    return client


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
    found = settings.sts.users.get(user)
    if found is None:
        known = ", ".join(settings.sts.users) or "none"
        raise SettingsInvalid(
            f'no development user "{user}" (known: {known})', where="sts.users", hint="add the user, or choose another"
        )
    return DevelopmentUser(user, name=found.name, groups=found.groups, roles=found.roles, scopes=found.scopes)


def _client(client_id: str, client: ClientSettings, settings: Settings) -> Client:
    where = f"sts.clients.{client_id}"
    registered = Client(
        client_id=client_id,
        name=client.name,
        jwks=_jwks(client.jwks_file, where) if client.jwks_file else None,
        targets=tuple(
            TargetRule(
                audience=target.audience,
                resource=target.resource or "",
                scopes=target.scopes,
                max_lifetime=target.max_lifetime,
            )
            for target in client.targets
        ),
        subject_audiences=frozenset(client.subject_audiences),
        max_depth=client.max_depth,
        max_lifetime=settings.sts.max_lifetime,
    )
    return registered.with_secret(read_secret(client.secret, f"{where}.secret")) if client.secret else registered


def _jwks(file: Path, where: str) -> Mapping[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsInvalid(f"the client's keys cannot be read: {error}", where=f"{where}.jwks_file") from error
    if not isinstance(document, dict):
        raise SettingsInvalid("the client's keys are no JWKS document", where=f"{where}.jwks_file")
    return document
