package remit.authz

import future.keywords.not
import rego.v1

pointers := {pointer |
	some key in ["/tax_id", "/iban", "/email"]
	pointer := concat("", ["/items/*", key])
	not "auditor" in input.subject.properties.roles
}

decision := {
	"allow": allow,
	"obligations": [{"id": "hide", "type": "redact_result", "properties": {"pointers": pointers, "mode": "mask"}} |
		input.phase == "result"
		count(pointers) > 0
	],
}

default allow := false

allow if input.phase != "result"

allow if {
	input.phase == "result"
	is_object(input.result.data)
	not input.result.truncated
}
