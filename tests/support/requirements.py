"""What the standards, and this product's own rules, require of the token endpoint: id → source and sentence.

A test says ``@requirement("id")``; ``tests/sts/test_requirements.py`` sees to it that every id has a test and that
no test names an id which is not here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

Test = TypeVar("Test", bound=Callable[..., Any])


@dataclass(frozen=True)
class Requirement:
    source: str
    sentence: str


def _of(source: str, **sentences: str) -> dict[str, Requirement]:
    return {name.replace("_", "-"): Requirement(source, sentence) for name, sentence in sentences.items()}


REQUIREMENTS: Final[dict[str, Requirement]] = {
    **_of(
        "RFC 6749 §2.3",
        one_client_authentication="The client MUST NOT use more than one authentication method in each request.",
        secrets_in_the_body_alone="The parameters can only be transmitted in the request-body and MUST NOT be "
        "included in the request URI.",
        basic_is_supported="The authorization server MUST support the HTTP Basic authentication scheme for "
        "authenticating clients that were issued a client password.",
    ),
    **_of(
        "RFC 6749 §3.2",
        post_only="The client MUST use the HTTP POST method when making access token requests.",
        empty_is_omitted="Parameters sent without a value MUST be treated as if they were omitted from the request.",
        unknown_is_ignored="The authorization server MUST ignore unrecognized request parameters.",
        no_parameter_twice="Request and response parameters MUST NOT be included more than once.",
        clients_authenticate="Confidential clients or other clients issued client credentials MUST authenticate with "
        "the authorization server.",
    ),
    **_of(
        "RFC 6749 §4.4",
        own_token_without_refresh="A refresh token SHOULD NOT be included.",
    ),
    **_of(
        "RFC 6749 §5.1",
        not_stored="The authorization server MUST include the HTTP Cache-Control response header field with a value "
        "of no-store, as well as the Pragma response header field with a value of no-cache.",
        json="The parameters are included in the entity-body of the HTTP response using the application/json media "
        "type.",
        scope_that_differs_is_told="scope: OPTIONAL, if identical to the scope requested by the client; otherwise, "
        "REQUIRED.",
    ),
    **_of(
        "RFC 6749 §5.2",
        refusals_are_400="The authorization server responds with an HTTP 400 (Bad Request) status code (unless "
        "specified otherwise).",
        invalid_client_is_challenged="If the client attempted to authenticate via the Authorization request header "
        "field, the authorization server MUST respond with an HTTP 401 (Unauthorized) status code and include the "
        "WWW-Authenticate response header field matching the authentication scheme used by the client.",
        invalid_request_says_malformed="invalid_request: the request is missing a required parameter, includes an "
        "unsupported parameter value (other than grant type), repeats a parameter, includes multiple credentials, "
        "utilizes more than one mechanism for authenticating the client, or is otherwise malformed.",
        unauthorized_client="unauthorized_client: the authenticated client is not authorized to use this "
        "authorization grant type.",
        unsupported_grant_type="unsupported_grant_type: the authorization grant type is not supported by the "
        "authorization server.",
        invalid_scope="invalid_scope: the requested scope is invalid, unknown, malformed, or exceeds the scope "
        "granted.",
        plain_error_text='Values for the "error" and "error_description" parameters MUST NOT include characters '
        "outside the set %x20-21 / %x23-5B / %x5D-7E.",
    ),
    **_of(
        "RFC 7523 §3",
        assertion_names_its_client="For client authentication, the subject MUST be the client_id of the OAuth client.",
        assertion_is_for_us="The authorization server MUST reject any JWT that does not contain its own identity as "
        "the intended audience.",
        assertion_expires='The JWT MUST contain an "exp" claim.',
        assertion_is_used_once="The authorization server MAY ensure that JWTs are not replayed by maintaining the set "
        'of used "jti" values.',
    ),
    **_of(
        "RFC 8693 §2.1",
        subject_token_required="subject_token: REQUIRED.",
        subject_token_type_required="subject_token_type: REQUIRED.",
        actor_token_type_with_actor_token="actor_token_type is REQUIRED when the actor_token parameter is present in "
        "the request but MUST NOT be included otherwise.",
        resource_is_an_absolute_uri="The value MUST be an absolute URI that MAY include a query component and MUST NOT "
        "include a fragment component.",
        targets_may_repeat="Multiple resource parameters may be used; multiple audience parameters may be used; the "
        "two may be used together.",
        tokens_are_validated="The authorization server MUST perform the appropriate validation procedures for the "
        "indicated token type and, if the actor token is present, also perform the appropriate validation procedures "
        "for its indicated token type.",
        requested_token_type="requested_token_type: an identifier for the type of the requested security token.",
    ),
    **_of(
        "RFC 8693 §2.2.1",
        issued_token="access_token: REQUIRED; issued_token_type: REQUIRED; token_type: REQUIRED; expires_in: "
        "RECOMMENDED.",
        exchange_without_refresh="refresh_token: a refresh token will typically not be issued.",
    ),
    **_of(
        "RFC 8693 §2.2.2",
        bad_tokens_are_invalid_request="If the request itself is not valid or if either the subject_token or "
        "actor_token are invalid for any reason, or are unacceptable based on policy, the value of the error "
        "parameter MUST be the invalid_request error code.",
        unwilling_targets_are_invalid_target="If the authorization server is unwilling or unable to issue a token for "
        "any target service indicated by the resource or audience parameters, the invalid_target error code SHOULD be "
        "used.",
    ),
    **_of(
        "RFC 8693 §4",
        act_is_nested_newest_outermost="The outermost act claim represents the current actor while nested act claims "
        "represent prior actors. The least recent actor is the most deeply nested.",
        act_holds_identity_alone="Claims within the act claim pertain only to the identity of the actor; non-identity "
        "claims (exp, nbf, aud) are not meaningful when used within an act claim.",
        client_id_is_the_requester="The client_id claim carries the client identifier of the OAuth 2.0 client that "
        "requested the token.",
        may_act_names_the_actor="The may_act claim makes a statement that one party is authorized to become the actor "
        "and act on behalf of another party.",
    ),
    **_of(
        "RFC 9068 §2",
        at_jwt='JWT access tokens MUST include this media type in the "typ" header parameter: at+jwt.',
        at_jwt_claims="iss, exp, aud, sub, client_id, iat, jti: REQUIRED.",
    ),
    **_of(
        "remit",
        one_target_per_token="A token is for one API: two targets in one request are refused.",
        target_before_cryptography="Whether the client may have a token for the target is asked before any token is "
        "read.",
        subject_token_for_the_client="A client exchanges only tokens that were issued for it.",
        actor_token_is_the_clients_own="An actor token is the authenticated client's own, direct credential.",
        scope_narrows="Scope is refused, not dropped, and is held by the subject token or translated from a held one.",
        lifetime_is_the_least="A token lives no longer than any limit, than the subject token and than the actor token.",
        chain_is_never_cut="A chain that would be too long, or loop, is refused; none is shortened.",
        profiles_do_not_cross="A token of one profile is not exchanged under the other.",
        transaction_is_kept="The transaction id goes through every hop.",
        nothing_sent_is_repeated="No refusal repeats what was sent.",
        policy_takes_away="Policy is asked last, about every token for an API, and can only narrow scope and lifetime or "
        "refuse with access_denied.",
        recorded_first="A request is recorded before its answer leaves; what cannot be recorded is not answered.",
    ),
}


def requirement(name: str) -> Callable[[Test], Test]:
    """Marks a test as one of requirement ``name``."""
    if name not in REQUIREMENTS:
        raise KeyError(name)

    def mark(test: Test) -> Test:
        return test

    return mark
