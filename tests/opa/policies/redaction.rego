package remit.authz

import future.keywords.not
import rego.v1

pointers := {pointer |
	some key in ["/tax_id", "/iban", "/email"]
	pointer := concat("", ["/items/*", key])
	not "auditor" in input.subject.properties.roles
}

decision := {
	"allow": not_too_many,
	"obligations": [{"id": "hide", "type": "redact_result", "properties": {"pointers": pointers, "mode": "mask"}} |
		input.phase == "result"
		count(pointers) > 0
	],
}

default not_too_many := true

not_too_many := count(input.result.data) < 4 if is_array(input.result.data)
