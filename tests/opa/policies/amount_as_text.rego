package remit.authz

import rego.v1

default cents := -1

cents := to_number(input.arguments.amount) * 100 if is_string(input.arguments.amount)

cents := input.arguments.amount if is_number(input.arguments.amount)

decision := {"allow": allow, "policy": "amount-as-text"}

default allow := false

allow if {
	cents >= 0
	cents <= 50000
	floor(cents) == cents
}
