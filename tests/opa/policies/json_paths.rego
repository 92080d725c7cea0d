package remit.authz

import future.keywords.not
import rego.v1

filtered := object.filter(input.arguments, ["id", "customer"])

without := json.remove(input.arguments, ["note", "customer/secret"])

patched := json.patch(filtered, [{"op": "add", "path": "/seen", "value": true}])

decision := {
	"allow": allow,
	"reasons": [{"code": "left", "message": key} | some key, _ in without; not filtered[key]],
}

default allow := false

allow if {
	patched.seen
	count(without) < 3
}
