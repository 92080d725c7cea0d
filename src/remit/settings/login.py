"""Noun: the settings of `remit login`: where the person at this machine signs in, and where that is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from remit.settings.fields import Name, Scope, SecretRef, Section, Url


class LoginSettings(Section):
    """Whose login stdio sessions and `remit call` show, where nothing else gives them a token.

    ``issuer``: where to sign in; default: the embedded authorization server, else the only one of
    ``identity.issuers``. ``client_id``: as what client; default, at the embedded one alone: ``remit-login``.
    ``scopes``: what to ask for; empty: what that server gives by itself. ``store: auto`` is the keyring of the
    operating system where it has one, else a file in ``folder``; default: the user's own data folder.
    """

    enabled: bool = True
    issuer: Url | None = None
    client_id: Name | None = None
    client_secret: SecretRef | None = None
    scopes: tuple[Scope, ...] = ()
    store: Literal["auto", "keyring", "file"] = "auto"
    folder: Path | None = None
