package remit.authz

import rego.v1

n := object.get(input.arguments, "amount", 7)

total := sum([n, 1, 2, 3])

decision := {"allow": allow, "reasons": [{"code": "rest", "message": "odd"} | abs(total) % 2 == 1]}

default allow := false

allow if {
	((total * 3) - 1) / 2 > 10
	round(total) - total < 1
	ceil(total / 7) >= floor(total / 7)
}
