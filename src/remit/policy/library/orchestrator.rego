# Lets a policy of `package orchestrator` decide: builds the input it knows, asks it, and turns its `allowed` and
# `external_message` into a decision.
#
# What such a policy sees is what remit has verified. It is not given:
# - the caller's token. `Authorization` holds one made here, without a signature, that says the same of the claims below;
# - claims that remit does not keep (email, jti, iat and a company's own), other headers, or the path and method;
# - the answer of an API. A result is released where the call itself is allowed.
package remit.authz

import future.keywords.not
import rego.v1

# METADATA
# entrypoint: true
decision := {
	"allow": allow,
	"reasons": reasons,
	"obligations": [],
	"policy": "orchestrator/1",
}

default allow := false

allow if unasked

# Exactly true: anything else, and no answer at all, is a denial.
allow if answer.allowed == true

# Without a message there is nothing to tell the caller, and the tool looks like one that does not exist.
reasons contains {"code": "orchestrator_denied", "message": "the policy does not allow it"} if {
	not allow
	message == ""
}

reasons contains {"code": "orchestrator_denied", "message": message, "audience": "user"} if {
	not allow
	message != ""
}

default message := ""

message := substring(answer.external_message, 0, 1000) if is_string(answer.external_message)

# ── what is asked ────────────────────────────────────────────────────────────────────────

default answer := {}

answer := said if {
	not unasked
	said := data.orchestrator.result with input as request
	is_object(said)
}

default exchanging := false

exchanging if input.phase == "token_exchange"

# A policy about tools alone was not written for the tokens that their calls need: those calls were decided before.
default unasked := false

unasked if {
	exchanging
	not data.remit.governed.tokens
}

default about_tools := false

about_tools if {
	not exchanging
	data.remit.governed.tools
}

# A list is decided with no arguments, a result with those of its call. A policy about tokens alone decides a call by the
# token that the call needs.
request := {"request": object.union(http, {"mcp": {"tool": {"params": {
	"name": input.resource.id,
	"arguments": input.arguments,
}}}}), "time": input.time} if about_tools

request := {"request": object.union(http, {"oauth": {
	"grant_type": grant_type,
	"scope": concat(" ", input.token.requested.scopes),
	"subject_token": {"claims": claims},
	"response": {"access_token": {"claims": issued}},
}}), "time": input.time} if not about_tools

http := {"http": {"headers": {"Authorization": concat(" ", ["Bearer", token])}}}

# ── the tokens ───────────────────────────────────────────────────────────────────────────

token := concat(".", [segment({"alg": "none", "typ": "JWT"}), segment(claims), ""])

segment(value) := base64url.encode_no_pad(json.marshal(value))

# Every claim is always there, empty where it is not known: a test of a claim that is missing may be passed over.
claims := {
	"iss": input.subject.issuer,
	"sub": input.subject.id,
	"aud": single(input.token.audience),
	"exp": expires_at,
	"client_id": input.actor.properties.client_id,
	"azp": input.actor.properties.client_id,
	"scope": concat(" ", input.token.scopes),
	"name": user.name,
	"groups": user.groups,
	"roles": user.roles,
	"role": concat(" ", user.roles),
	"acr": user.acr,
	"amr": user.amr,
	"auth_time": user.auth_time,
}

# What the new token will say, as far as that is known before it is issued.
issued := {
	"sub": input.subject.id,
	"aud": input.resource.properties.target,
	"exp": seconds + input.token.requested.lifetime,
	"client_id": input.actor.properties.client_id,
	"scope": concat(" ", input.token.requested.scopes),
	"act": {"sub": input.actor.id, "iss": input.actor.issuer},
}

user := input.subject.properties

seconds := floor(input.time.ns / 1000000000)

expires_at := seconds + input.token.expires_in

default grant_type := ""

grant_type := "urn:ietf:params:oauth:grant-type:token-exchange" if input.token.requested.grant == "token-exchange"

default single(_) := ""

single(audience) := audience[0] if count(audience) == 1

single(audience) := audience if count(audience) > 1
