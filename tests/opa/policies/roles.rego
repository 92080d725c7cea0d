package remit.authz

import rego.v1

default allow := false

allow if {
	some grant in data.remit_data.grants
	grant.tool in {input.resource.id, "*"}
	some role in grant.roles
	role in input.subject.properties.roles
	input.action.properties.effect in grant.effects
}

decision := {"allow": allow}
