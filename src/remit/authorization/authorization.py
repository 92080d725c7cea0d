"""Noun: what a person asked for through a client, and what they gave it."""

from __future__ import annotations

from dataclasses import dataclass

from remit.authorization.person import SignIn
from remit.principal import Assurance


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """An authorization request (RFC 6749 §4.1.1) that was checked against its client.

    ``audience`` is what ``resource`` (RFC 8707) names, or the MCP door where it names nothing. ``code_challenge`` is of
    the method S256. ``max_age`` in seconds, -1: not said. ``dpop_jkt`` binds the code to a key (RFC 9449 §10).
    """

    client_id: str
    redirect_uri: str
    audience: str
    scopes: tuple[str, ...]
    code_challenge: str
    state: str = ""
    prompt: frozenset[str] = frozenset()
    max_age: int = -1
    acr_values: tuple[str, ...] = ()
    login_hint: str = ""
    dpop_jkt: str = ""


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a person gave a client: the root of every token of it. Times in seconds since the epoch.

    ``txn`` is in all of these tokens and in what is exchanged from them, so to revoke it ends everything.
    ``assurance`` is that of the client.
    """

    id: str
    sign_in: SignIn
    client_id: str
    client_name: str
    assurance: Assurance
    audience: str
    scopes: tuple[str, ...]
    granted_at: int
    expires_at: int
    txn: str
