package remit.authz

import rego.v1

default allow := false

allow if {
	some entry in input.arguments.items
	some key, value in entry
	key == "id"
	value in ["O77", 77, null]
}

allow if {"id": "O77"} in input.arguments.items

allow if input.arguments == {"id": "O77"}

decision := {"allow": allow}
