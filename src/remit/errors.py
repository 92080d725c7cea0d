"""Every error there is.

::

    RemitError               code · message · detail · hint
    ├── SetupError           found before serving; `remit check` lists them all; exit 2
    │       SettingsInvalid · DefinitionInvalid · DescriptionInvalid · PolicyInvalid · KeyRingInvalid · StateInvalid
    ├── AuthenticationError  the caller's own token: 401 with a challenge
    │   ├── TokenMissing     no error code on the wire (RFC 6750 §3.1)
    │   ├── SignInRequired   `remit login` has to be run
    │   │       SignInFailed · SignInUnavailable (a sign-in or its renewal did not come about)
    │   ├── KeysUnavailable  the issuer's keys cannot be had right now (503; may be repeated)
    │   │       RevocationUnknown (neither can what was revoked)
    │   │       IntrospectionUnavailable (the issuer cannot be asked about a token)
    │   │       ProofUncheckable (whether a DPoP proof was used before cannot be found out)
    │   └── TokenInvalid     invalid_token
    │           TokenMalformed · SignatureInvalid · IssuerUntrusted · AudienceMismatch
    │           TokenExpired · TokenNotYetValid · ClaimInvalid · TokenTypeMismatch · TokenRevoked
    │           TokenInactive · TokenUnbound · ProofInvalid (the proof of possession: invalid_dpop_proof)
    ├── AuthorizationError   a verified caller, not permitted
    │       PolicyDenied     reasons the agent can read; decision id
    │       PolicyFailed     no decision could be had: denied, and it says why to the operator
    │       ActorUnfit       no agent runner where one is needed, or one where none may be
    │       ActorRevoked     the operator switched the agent runner off
    │       RateLimited      too many calls, or too many at a time: nothing was called
    │       ResultWithheld   the API acted; its answer is not for this caller
    │       ApprovalRequired · ApprovalDenied · ApprovalUnusable   somebody has to say yes, said no, or may not say
    │       ScopeInsufficient · StepUpRequired   403 with a challenge: more scopes, another sign-in
    ├── ToolError            ToolUnknown, ToolHidden (a protocol error) · ArgumentsInvalid · RequestUnusable
    │                        RequestTooLarge · RequestTimeout (the gateway: 413, 408)
    ├── CodeError            a tool's own code: CodeFailed · CodeTimeout · CallRefused (a call that it wanted to make)
    ├── ExchangeError        asking the token service
    │       ExchangeRefused · ExchangeUnavailable · ExchangeInvalid · DelegationMismatch
    ├── DownstreamError      calling the API
    │       DownstreamRefused (4xx) · DownstreamFailed (5xx) · DownstreamUnavailable · ResponseUnusable
    │       DownstreamTimeout (a kind of DownstreamUnavailable)
    ├── GrantError           what the own token endpoint answers (RFC 6749 §5.2, RFC 8693 §2.2.2)
    │       InvalidRequest · InvalidClient · UnauthorizedClient
    │       UnsupportedGrantType · InvalidScope · InvalidTarget · AccessDenied · GrantUnavailable (503)
    │       InvalidGrant · InvalidDpopProof · AuthorizationPending · SlowDown · ExpiredDeviceCode
    │       UnsupportedResponseType · LoginRequired · ConsentRequired · UnmetAuthentication   (authorization requests)
    │       InvalidClientMetadata · InvalidRedirectUri   (registration, RFC 7591 §3.2.2)
    ├── AuditError           the trail cannot be written: nothing is called
    └── InternalError        anything unforeseen

The branch says whose fault it is; the four parts are kept apart by who may read them:
``code`` is for programs (stable), ``message`` for the agent and the person (one sentence, no secret,
no inner address), ``detail`` for the audit trail, ``hint`` for the operator (imperative).
"""

from __future__ import annotations

from typing import ClassVar


class RemitError(Exception):
    """The root. Raise a leaf, never this. ``call_id`` is the audit id once the error has crossed the bridge."""

    code: ClassVar[str] = "internal_error"
    call_id: str = ""

    def __init__(self, message: str, *, detail: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.hint = hint


class InternalError(RemitError):
    """Nothing that was foreseen. The agent learns only the audit id; the cause is logged."""

    code = "internal_error"


# ── setup ────────────────────────────────────────────────────────────────────────────────


class SetupError(RemitError):
    """Found before serving. ``where`` is ``file:line:column``, a setting's path, or empty."""

    code = "setup_invalid"

    def __init__(self, message: str, *, where: str = "", detail: str = "", hint: str = "") -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.where = where


class SettingsInvalid(SetupError):
    """A setting is missing, unknown or out of range. ``problems`` lists all of them where there are several."""

    code = "settings_invalid"

    def __init__(
        self, message: str, *, where: str = "", hint: str = "", problems: tuple[SettingsInvalid, ...] = ()
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.problems = problems or (self,)


class DefinitionInvalid(SetupError):
    """A tool file cannot be used."""

    code = "definition_invalid"


class DescriptionInvalid(SetupError):
    """Nothing of an API description can be read."""

    code = "description_invalid"


class PolicyInvalid(SetupError):
    """A policy file cannot be used. ``problems`` lists all of them where there are several."""

    code = "policy_invalid"

    def __init__(
        self,
        message: str,
        *,
        where: str = "",
        detail: str = "",
        hint: str = "",
        problems: tuple[PolicyInvalid, ...] = (),
    ) -> None:
        super().__init__(message, where=where, detail=detail, hint=hint)
        self.problems = problems or (self,)


class KeyRingInvalid(SetupError):
    """A signing key cannot be read or is not safe to use."""

    code = "key_ring_invalid"


class StateInvalid(SetupError):
    """The state directory or a file in it cannot be used."""

    code = "state_invalid"


# ── authentication ───────────────────────────────────────────────────────────────────────


class AuthenticationError(RemitError):
    """The caller's own token is missing or no good."""

    code = "unauthenticated"


class TokenMissing(AuthenticationError):
    """No token was presented."""

    code = "token_missing"


class SignInRequired(AuthenticationError):
    """Whoever this process speaks for has not signed in, or has to do so again. ``message`` says what to run."""

    code = "sign_in_required"


class SignInFailed(AuthenticationError):
    """A sign-in, or its renewal, was refused. ``error``: the OAuth error code, empty where there was none."""

    code = "sign_in_failed"

    def __init__(self, message: str, *, error: str = "", detail: str = "", hint: str = "") -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.error = error


class SignInUnavailable(AuthenticationError):
    """The authorization server gives no answer now; nothing is said about who is signed in."""

    code = "sign_in_unavailable"


class KeysUnavailable(AuthenticationError):
    """The issuer's keys cannot be fetched now; nothing is said about the token."""

    code = "keys_unavailable"


class RevocationUnknown(KeysUnavailable):
    """Whether the token was revoked cannot be found out now; nothing is said about it."""

    code = "revocation_unknown"


class ProofUncheckable(KeysUnavailable):
    """Whether a proof of possession was used before cannot be found out now; nothing is said about it."""

    code = "proof_uncheckable"


class IntrospectionUnavailable(KeysUnavailable):
    """The issuer cannot be asked about a token now, or its answer cannot be used; nothing is said about the token."""

    code = "introspection_unavailable"


class TokenInvalid(AuthenticationError):
    """A token was presented and is not accepted (RFC 6750 §3.1 ``invalid_token``)."""

    code = "invalid_token"


class TokenMalformed(TokenInvalid):
    """Not a JWT that may be read at all."""

    code = "token_malformed"


class SignatureInvalid(TokenInvalid):
    """No trusted key of the issuer made this signature."""

    code = "signature_invalid"


class IssuerUntrusted(TokenInvalid):
    """The issuer is not one of the configured ones."""

    code = "issuer_untrusted"


class AudienceMismatch(TokenInvalid):
    """The token is for somebody else."""

    code = "audience_mismatch"


class TokenExpired(TokenInvalid):
    """``exp`` has passed."""

    code = "token_expired"


class TokenNotYetValid(TokenInvalid):
    """``nbf`` or ``iat`` lies in the future."""

    code = "token_not_yet_valid"


class TokenTypeMismatch(TokenInvalid):
    """``typ`` is not the one of the token kind that was declared."""

    code = "token_type_mismatch"


class ClaimInvalid(TokenInvalid):
    """A required claim is missing or has a value it may not have."""

    code = "claim_invalid"


class TokenRevoked(TokenInvalid):
    """The token, its transaction, its subject or its current actor was revoked."""

    code = "token_revoked"


class TokenInactive(TokenInvalid):
    """The issuer says that the token is not active (RFC 7662 §2.2): unknown, expired or revoked."""

    code = "token_inactive"


class TokenUnbound(TokenInvalid):
    """A token and its proof of possession do not belong together: one without the other, or of another key."""

    code = "token_unbound"


class ProofInvalid(TokenInvalid):
    """The DPoP proof is not sound, not for this request, or was used before: ``invalid_dpop_proof`` (RFC 9449 §7.1)."""

    code = "proof_invalid"


# ── authorization ────────────────────────────────────────────────────────────────────────


class AuthorizationError(RemitError):
    """A verified caller who is not permitted."""

    code = "access_denied"


class PolicyDenied(AuthorizationError):
    """Policy said no. ``message`` joins the reasons meant for the agent."""

    code = "access_denied"


class PolicyFailed(AuthorizationError):
    """Policy said nothing usable, which counts as no."""

    code = "policy_failed"


class ActorUnfit(AuthorizationError):
    """The call must have an agent runner that somebody vouches for, or must have none."""

    code = "actor_unfit"


class ActorRevoked(AuthorizationError):
    """The agent runner was revoked: whoever it works for, it may do nothing."""

    code = "actor_revoked"


class ApprovalRequired(AuthorizationError):
    """Policy permits the call once somebody has approved it; nothing was called.

    ``approval_id`` names what waits, until ``expires_at`` (seconds since the epoch). ``by_user``: the user themself
    may say yes; otherwise somebody else has to. ``question`` is what to ask them: it holds the call's arguments, so it
    goes to the user's client alone, never to trail or log.
    """

    code = "approval_required"

    def __init__(
        self, message: str, *, approval_id: str, by_user: bool, expires_at: int, question: str, detail: str = ""
    ) -> None:
        super().__init__(message, detail=detail, hint=f"`remit approvals grant {approval_id}` lets it through once")
        self.approval_id = approval_id
        self.by_user = by_user
        self.expires_at = expires_at
        self.question = question


class ApprovalDenied(AuthorizationError):
    """Whoever was asked to approve the call said no."""

    code = "approval_denied"


class ApprovalUnusable(AuthorizationError):
    """An approval that is unknown, expired, decided or used already, of another call, or not this person's to give."""

    code = "approval_unusable"


class RateLimited(AuthorizationError):
    """A limit of the tool file is reached; nothing was called. ``retry_after``: whole seconds, at least 1."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: int, detail: str = "", hint: str = "") -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.retry_after = retry_after


class ResultWithheld(AuthorizationError):
    """The API was called and answered, but policy does not let the answer out."""

    code = "result_withheld"


class ScopeInsufficient(AuthorizationError):
    """The caller's token lacks ``scope`` (space-separated, all that is needed)."""

    code = "insufficient_scope"

    def __init__(self, message: str, *, scope: str, detail: str = "", hint: str = "") -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.scope = scope


class StepUpRequired(AuthorizationError):
    """The user has to sign in again (RFC 9470): by one of ``acr_values``, or not longer than ``max_age`` seconds ago.

    Both may be asked, and ``scope`` besides (space-separated; empty where none is missing).
    """

    code = "insufficient_user_authentication"

    def __init__(
        self, message: str, *, acr_values: tuple[str, ...], max_age: int, scope: str = "", detail: str = ""
    ) -> None:
        super().__init__(message, detail=detail, hint="have the user sign in again as policy asks")
        self.acr_values = acr_values
        self.max_age = max_age
        self.scope = scope


# ── tool ─────────────────────────────────────────────────────────────────────────────────


class ToolError(RemitError):
    """The call names or fills a tool wrongly."""

    code = "tool_error"


class ToolUnknown(ToolError):
    """No such tool for this caller; unknown and hidden look the same."""

    code = "tool_unknown"


class ToolHidden(ToolUnknown):
    """Policy denied without a reason meant for the caller: to them there is no such tool."""

    code = "tool_hidden"


class ArgumentsInvalid(ToolError):
    """The arguments do not fit the tool's input schema."""

    code = "invalid_arguments"


class RequestUnusable(ToolError):
    """The arguments fit the schema but cannot be put on the wire (an empty path segment, say)."""

    code = "invalid_arguments"


class RequestTooLarge(ToolError):
    """The request's body is longer than its route takes."""

    code = "request_too_large"


class RequestTimeout(ToolError):
    """The client sent nothing, or took nothing, for too long."""

    code = "request_timeout"


# ── code ─────────────────────────────────────────────────────────────────────────────────


class CodeError(RemitError):
    """The code of a tool. What it did before stands as it is."""

    code = "tool_failed"


class CodeFailed(CodeError):
    """It raised what nobody foresaw, or gave back what it should not. The log has the place."""

    code = "tool_failed"


class CodeTimeout(CodeError):
    """It was not done in time."""

    code = "tool_timeout"


class CallRefused(CodeError):
    """A call that it wanted to make was refused, or failed.

    ``reason`` is the error code of that call, ``status`` the API's answer to it, or 0.
    """

    code = "call_refused"

    def __init__(self, message: str, *, reason: str, status: int = 0, detail: str = "", hint: str = "") -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.reason = reason
        self.status = status


# ── exchange ─────────────────────────────────────────────────────────────────────────────


class ExchangeError(RemitError):
    """No delegated token could be had."""

    code = "exchange_failed"


class ExchangeRefused(ExchangeError):
    """The token service said no. ``error`` is its OAuth error code as given."""

    code = "exchange_refused"

    def __init__(self, message: str, *, error: str, detail: str = "", hint: str = "") -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.error = error


class ExchangeUnavailable(ExchangeError):
    """The token service could not be reached, was too slow, or failed; may be repeated."""

    code = "exchange_unavailable"


class ExchangeInvalid(ExchangeError):
    """The token service answered what RFC 8693 §2.2.1 does not allow."""

    code = "exchange_invalid"


class DelegationMismatch(ExchangeError):
    """The issued token is not the one that was asked for. ``claim`` names the difference."""

    code = "delegation_not_expressed"

    def __init__(self, message: str, *, claim: str, detail: str = "", hint: str = "") -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.claim = claim


# ── downstream ───────────────────────────────────────────────────────────────────────────


class DownstreamError(RemitError):
    """The API did not do it. ``status`` is its HTTP status, 0 where there was none.

    ``retry_after``: whole seconds to wait before another call, as the API says; 0 where it does not.
    """

    code = "downstream_failed"

    def __init__(
        self, message: str, *, status: int = 0, retry_after: int = 0, detail: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.status = status
        self.retry_after = retry_after


class DownstreamRefused(DownstreamError):
    """The API answered 3xx or 4xx."""

    code = "downstream_refused"


class DownstreamFailed(DownstreamError):
    """The API answered 5xx."""

    code = "downstream_failed"


class DownstreamUnavailable(DownstreamError):
    """The API could not be reached or was too slow; may have acted all the same."""

    code = "downstream_unavailable"


class DownstreamTimeout(DownstreamUnavailable):
    """The API was too slow; may have acted all the same."""

    code = "downstream_timeout"


class ResponseUnusable(DownstreamError):
    """The answer is too large or not of the declared kind."""

    code = "response_unusable"


# ── grant: the own token endpoint ────────────────────────────────────────────────────────


class GrantError(RemitError):
    """An RFC 6749 §5.2 error answer. ``message`` becomes ``error_description``; never echo input in it."""

    code = "invalid_request"
    status: ClassVar[int] = 400


class InvalidRequest(GrantError):
    """Also every bad or unacceptable subject or actor token (RFC 8693 §2.2.2, MUST)."""

    code = "invalid_request"


class InvalidClient(GrantError):
    """Client authentication failed (401)."""

    code = "invalid_client"
    status = 401


class UnauthorizedClient(GrantError):
    """This client may not use this grant."""

    code = "unauthorized_client"


class UnsupportedGrantType(GrantError):
    """The grant type is not served here."""

    code = "unsupported_grant_type"


class InvalidScope(GrantError):
    """The scope is malformed, unknown or wider than may be given."""

    code = "invalid_scope"


class InvalidTarget(GrantError):
    """The server will not issue a token for this audience or resource (RFC 8693 §2.2.2)."""

    code = "invalid_target"


class AccessDenied(GrantError):
    """Policy denies this exchange (the code of RFC 8628 §3.5, registered for the token endpoint)."""

    code = "access_denied"


class InvalidGrant(GrantError):
    """A code, refresh token or assertion that is unsound, used up, expired, or another client's (RFC 6749 §5.2)."""

    code = "invalid_grant"


class InvalidDpopProof(GrantError):
    """The DPoP proof is not sound, or not the key's that the grant is bound to (RFC 9449 §5)."""

    code = "invalid_dpop_proof"


class AuthorizationPending(GrantError):
    """The user has not answered yet (RFC 8628 §3.5)."""

    code = "authorization_pending"


class SlowDown(GrantError):
    """The user has not answered yet, and the client asks too often (RFC 8628 §3.5)."""

    code = "slow_down"


class ExpiredDeviceCode(GrantError):
    """The user did not answer in time (RFC 8628 §3.5)."""

    code = "expired_token"


class UnsupportedResponseType(GrantError):
    """Only codes are given (RFC 6749 §4.1.2.1)."""

    code = "unsupported_response_type"


class LoginRequired(GrantError):
    """The client wants no sign-in page, and nobody is signed in (OpenID Connect Core §3.1.2.6)."""

    code = "login_required"


class ConsentRequired(GrantError):
    """The client wants no page at all, but the user has to be asked (OpenID Connect Core §3.1.2.6)."""

    code = "consent_required"


class UnmetAuthentication(GrantError):
    """The user cannot sign in here in the way the client needs (OpenID Connect, RFC 9470 §5)."""

    code = "unmet_authentication_requirements"


class InvalidClientMetadata(GrantError):
    """A client that wants to register says of itself what cannot be accepted (RFC 7591 §3.2.2)."""

    code = "invalid_client_metadata"


class InvalidRedirectUri(GrantError):
    """A client that wants to register names a redirect URI that cannot be accepted (RFC 7591 §3.2.2)."""

    code = "invalid_redirect_uri"


class GrantUnavailable(GrantError):
    """No answer can be given now, for no fault of the request: keys or the trail are out of reach (503)."""

    code = "server_error"
    status = 503


# ── audit ────────────────────────────────────────────────────────────────────────────────


class AuditError(RemitError):
    """The trail cannot be written; nothing is called without it."""

    code = "audit_unavailable"
