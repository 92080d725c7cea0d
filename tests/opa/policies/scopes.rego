package remit.authz

import rego.v1

needed := {scope | some scope in data.remit_data.scopes[input.resource.id]}

given := {scope | some scope in input.token.scopes}

decision := {
	"allow": allow,
	"reasons": [{"code": "missing", "message": scope, "audience": "user"} | some scope in (needed - given)],
	"obligations": [{"id": "scopes", "type": "narrow_scopes", "properties": {"scopes": needed & given}}],
}

default allow := false

allow if {
	count(needed) > 0
	count(needed - given) == 0
}
