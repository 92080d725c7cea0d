package remit.authz

import rego.v1

default allow := false

allow if {
	regex.match(`^(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}$`, input.context.client)
	semver.compare(input.context.client, "1.2.0") >= 0
}

allow if input.context.client == ""

decision := {"allow": allow}
