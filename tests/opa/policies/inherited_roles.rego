package remit.authz

import rego.v1

effective := graph.reachable(data.remit_data.inherits, {role | some role in input.subject.properties.roles})

decision := {
	"allow": "intern" in effective,
	"reasons": [{"code": "role", "message": role} | some role in effective],
}
