package remit.authz

import future.keywords.not
import rego.v1

default decision := {"allow": false}

decision := {"allow": true, "policy": "mocks/1"} if {
	some role in input.subject.properties.roles
	input.resource.id in data.remit_data.roles[role]
	not late
}

late if input.time.hour >= data.remit_data.closing
