"""Rule: what a request shows of its client (RFC 6749 §2.3, RFC 7521 §4.2). Nothing of it has been checked."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from remit import oauth
from remit.credential import Credential, UnverifiedToken
from remit.errors import InvalidClient, InvalidRequest, TokenInvalid
from remit.sts.form import Form, decode, single
from remit.tokens.checks import read_name
from remit.tokens.parse import parse

_NOTHING: Final = Credential("")


@dataclass(frozen=True, slots=True)
class ClientProof:
    """Who the client says it is (``""``: nobody), and the secret or assertion by which it shows that.

    ``method`` is one of RFC 8414's names; ``none``: it shows nothing.
    """

    client_id: str
    method: str
    secret: Credential = _NOTHING


def read_proof(authorization: Sequence[str], form: Form) -> ClientProof:
    """``authorization`` are the values of that header.

    Raises ``InvalidClient``, and ``InvalidRequest`` for more than one mechanism (RFC 6749 §5.2).
    """
    used = [*authorization, *form.get("client_secret", ()), *form.get("client_assertion", ())]
    if len(used) > 1:
        raise InvalidRequest("more than one client authentication is included")
    said = single(form, "client_id")
    proof = _proof(authorization, form, said)
    if said not in ("", proof.client_id):
        raise InvalidClient("client_id is not the authenticated client")
    return proof


def _proof(authorization: Sequence[str], form: Form, said: str) -> ClientProof:
    if authorization:
        return _read_basic(authorization[0])
    if "client_assertion" in form:
        return _read_assertion(form)
    if "client_secret" in form:
        return ClientProof(said, oauth.CLIENT_SECRET_POST, Credential(single(form, "client_secret")))
    return ClientProof(said, oauth.NO_CLIENT_AUTHENTICATION)


def _read_basic(authorization: str) -> ClientProof:
    """RFC 6749 §2.3.1: id and secret are form-encoded, joined by a colon and base64-encoded."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("the Authorization header is not Basic")
    try:
        pair = base64.b64decode(encoded.strip(" "), validate=True).decode("utf-8")
        client_id, colon, secret = pair.partition(":")
        if colon:
            return ClientProof(decode(client_id), oauth.CLIENT_SECRET_BASIC, Credential(decode(secret)))
    except (ValueError, InvalidRequest) as error:
        raise InvalidClient("the Authorization header cannot be read") from error
    raise InvalidClient("the Authorization header cannot be read")


def _read_assertion(form: Form) -> ClientProof:
    if single(form, "client_assertion_type") != oauth.CLIENT_ASSERTION_TYPE_JWT_BEARER:
        raise InvalidClient("client_assertion_type is not supported, only jwt-bearer is")
    assertion = UnverifiedToken(single(form, "client_assertion"))
    try:
        issuer = read_name(parse(assertion).claims, "iss")
    except TokenInvalid as error:
        raise InvalidClient("client_assertion is not acceptable", detail=f"{error.code}: {error.message}") from error
    return ClientProof(issuer, oauth.PRIVATE_KEY_JWT, assertion)
