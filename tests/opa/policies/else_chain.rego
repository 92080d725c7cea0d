package remit.authz

import rego.v1

verdict := "admin" if {
	input.subject.id in data.remit_data.admins
	input.action.properties.effect == "write"
} else := "reader" if {
	input.action.properties.read_only
} else := "nobody"

decision := {"allow": verdict != "nobody", "policy": verdict}
