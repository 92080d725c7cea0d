package remit.authz

import rego.v1

may if {
	input.subject.id in data.remit_data.admins
	input.action.properties.effect == "write"
}

default allow := false

allow if may

allow if may with input.action.properties.effect as "write" with data.remit_data.admins as ["bob", "alice"]

decision := {"allow": allow}
