"""Path: the settings of the embedded token service → the service, its keys, and whom it believes."""

from __future__ import annotations

from typing import Final

from remit.app import registry
from remit.clock import Clock
from remit.settings import Settings, SubjectIssuerSettings
from remit.sts.grant import SecurityTokenService
from remit.sts.keys import KeyRing, KeyTiming
from remit.sts.revocation import RevocationList
from remit.sts.subject import SubjectIssuer
from remit.tokens.introspection import IntrospectedTokens
from remit.tokens.jwks import JwksClient, LiveKeys
from remit.tokens.verifier import TrustedIssuer
from remit.web import HttpClient

#: Clock skew and how long others keep a key set.
_KEPT_SECONDS: Final = 630


def open_token_service(
    settings: Settings,
    http: HttpClient,
    clock: Clock,
    revocations: RevocationList,
    asked: IntrospectedTokens | None = None,
) -> SecurityTokenService | None:
    """The embedded token service, where it is not switched off. Raises ``SetupError`` leaves.

    ``asked``: the tokens of the one of ``identity.issuers`` that has to be asked about them.
    """
    if not settings.sts.enabled:
        return None
    keys = KeyRing.open(settings.keys_dir, clock, key_timing(settings))
    others = [_subject_issuer(item, http) for item in registry.subject_issuers(settings)]
    if asked is not None and settings.sts.trust_identity_issuers:
        others.append(SubjectIssuer(asked))
    sts = SecurityTokenService(settings.issuer, keys, clock, registry.clients(settings), others)
    sts.revocations = revocations
    return sts


def _subject_issuer(item: SubjectIssuerSettings, http: HttpClient) -> SubjectIssuer:
    return SubjectIssuer(
        TrustedIssuer(item.issuer, frozenset(item.algorithms), JwksClient(item.jwks_uri, client=http)),
        audiences=frozenset(item.audiences),
        typ=frozenset(item.typ),
        subject_claim=item.subject_claim,
        scope_claim=item.scope_claim,
    )


def key_timing(settings: Settings) -> KeyTiming:
    """The times of the signing keys. One that signs no more stays published for as long as a token of it is sound."""
    keys = settings.sts.keys
    last_token = settings.sts.max_lifetime + _KEPT_SECONDS
    return KeyTiming(keys.rotate_after, keys.publish_before, max(keys.retire_after, last_token))


def own_issuer(settings: Settings, sts: SecurityTokenService | None) -> list[TrustedIssuer]:
    """The embedded token service as an issuer that is believed; none where there is none."""
    if sts is None:
        return []
    return [TrustedIssuer(settings.issuer, frozenset({"ES256"}), LiveKeys(sts.keys.jwks))]
