package remit.authz

import rego.v1

values := sort([1, "a", null, true, [1], {"a": 1}, input.resource.id, input.time.hour])

names := sort(array.concat(input.subject.properties.roles, input.subject.properties.groups))

decision := {
	"allow": "m" > input.resource.id,
	"reasons": array.concat(
		[{"code": "type", "message": type_name(value)} | some value in values],
		[{"code": "name", "message": name} | some name in names],
	),
}
