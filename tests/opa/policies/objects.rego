package remit.authz

import rego.v1

by_tool[grant.tool] contains role if {
	some grant in data.remit_data.grants
	some role in grant.roles
}

merged := object.union(data.remit_data.limits, object.filter(input.arguments, ["default", "amount"]))

kept := object.remove(input.arguments, ["id"])

decision := {
	"allow": some_role,
	"reasons": array.concat(
		[{"code": "key", "message": key} | some key in object.keys(kept)],
		[{"code": "limit", "message": name} | some name, value in merged; is_number(value); value > 1000],
	),
}

default some_role := false

some_role if count(by_tool[input.resource.id] & {r | some r in input.subject.properties.roles}) > 0
