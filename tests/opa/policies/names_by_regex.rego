package remit.authz

import future.keywords.not
import rego.v1

default allow := false

allow if {
	regex.match(`^(get|list)_[a-z_]+$`, input.resource.id)
	not regex.match(`(?i)admin|root`, input.resource.id)
}

allow if regex.match(`^[\p{L} .'-]+$`, object.get(input.arguments, "name", "!"))

decision := {
	"allow": allow,
	"reasons": [{"code": "number", "message": number} |
		some number in regex.find_n(`\d+`, concat(" ", input.subject.properties.roles), 3)
	],
}
