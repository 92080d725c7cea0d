package remit.authz

import rego.v1

decision := {
	"allow": input.subject.id == "alice",
	"reasons": [
		{"code": "s", "message": sprintf("%s may not use %s", [input.subject.id, input.resource.id])},
		{"code": "d", "message": sprintf("%d hops, %5d, %03d", [count(input.chain), 1, 3])},
		{"code": "v", "message": sprintf("%v %v %v", [input.subject.id, input.action.properties.destructive, input.time.hour])},
		{"code": "q", "message": sprintf("100%% of %s", [concat(", ", input.token.scopes)])},
	],
}
