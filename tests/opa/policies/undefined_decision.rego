package remit.authz

import future.keywords.not
import rego.v1

decision := {"allow": true, "policy": input.resource.id} if input.action.properties.read_only

decision := {"allow": false} if {
	not input.action.properties.read_only
	input.subject.id != "ghost"
}

decision := {"allow": false, "policy": "ghost"} if input.subject.id == "ghost"
