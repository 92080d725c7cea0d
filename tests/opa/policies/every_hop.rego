package remit.authz

import rego.v1

default allow := false

allow if {
	count(input.chain) > 0
	every hop in input.chain {
		hop.type == "agent"
		hop.issuer != ""
	}
	every index, scope in input.token.scopes {
		index < 5
		contains(scope, ":")
	}
}

decision := {"allow": allow}
