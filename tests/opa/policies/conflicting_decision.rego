package remit.authz

import future.keywords.not
import rego.v1

decision := {"allow": true} if "support-lead" in input.subject.properties.roles

decision := {"allow": false} if input.action.properties.destructive

decision := {"allow": false} if {
	not "support-lead" in input.subject.properties.roles
	not input.action.properties.destructive
}
