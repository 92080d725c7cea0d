"""Noun: the parameters of the two grants, read from a form (RFC 8693 §2.1, RFC 6749 §4.4.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from remit import oauth
from remit.credential import UnverifiedToken
from remit.errors import InvalidRequest, InvalidScope, InvalidTarget
from remit.sts.form import Form, single

_SECONDS: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class ExchangeParameters:
    """A token exchange as it was asked for; grammar only. ``requested_expires_in`` is in seconds, 0: not said."""

    subject_token: UnverifiedToken
    actor_token: UnverifiedToken | None
    targets: frozenset[str]
    scopes: tuple[str, ...]
    requested_expires_in: int

    @classmethod
    def from_form(cls, form: Form) -> Self:
        """Raises ``InvalidRequest``, ``InvalidTarget`` or ``InvalidScope``."""
        subject_token = single(form, "subject_token")
        if not subject_token:
            raise InvalidRequest("subject_token is missing")
        _check_token_type(form, "subject_token_type")
        if single(form, "requested_token_type") not in ("", oauth.TOKEN_TYPE_ACCESS_TOKEN):
            raise InvalidRequest("requested_token_type is not supported, only access_token is")
        return cls(
            subject_token=UnverifiedToken(subject_token),
            actor_token=_actor_token(form),
            targets=read_targets(form),
            scopes=read_scopes(form),
            requested_expires_in=read_lifetime(form),
        )


def read_targets(form: Form) -> frozenset[str]:
    """Every ``audience`` and ``resource`` of the request."""
    resources = form.get("resource", ())
    if not all(_is_resource(resource) for resource in resources):
        raise InvalidTarget("resource must be an absolute URI without a fragment")
    return frozenset((*form.get("audience", ()), *resources))


def read_scopes(form: Form) -> tuple[str, ...]:
    """The requested scopes; none where ``scope`` is omitted."""
    try:
        return oauth.parse_scope(single(form, "scope"))
    except ValueError as error:
        raise InvalidScope("scope is malformed") from error


def read_lifetime(form: Form) -> int:
    """``requested_expires_in`` in seconds; 0 where it is omitted."""
    value = single(form, oauth.PARAM_REQUESTED_EXPIRES_IN)
    if not value:
        return 0
    if not _SECONDS.fullmatch(value) or not int(value):
        raise InvalidRequest("requested_expires_in is no positive number of seconds")
    return int(value)


def _actor_token(form: Form) -> UnverifiedToken | None:
    """``actor_token_type`` is "REQUIRED when actor_token is present … MUST NOT be included" otherwise."""
    actor_token = single(form, "actor_token")
    if not actor_token:
        if single(form, "actor_token_type"):
            raise InvalidRequest("actor_token_type is there without actor_token")
        return None
    _check_token_type(form, "actor_token_type")
    return UnverifiedToken(actor_token)


def _check_token_type(form: Form, name: str) -> None:
    token_type = single(form, name)
    if not token_type:
        raise InvalidRequest(f"{name} is missing")
    if token_type != oauth.TOKEN_TYPE_ACCESS_TOKEN:
        raise InvalidRequest(f"{name} is not supported, only access_token is")


def _is_resource(text: str) -> bool:
    """RFC 8707 §2: "MUST be an absolute URI … MUST NOT include a fragment component"."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and (parts.netloc or parts.path)) and "#" not in text and " " not in text
