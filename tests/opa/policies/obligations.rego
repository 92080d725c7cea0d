package remit.authz

import future.keywords.not
import rego.v1

obligations contains {"id": "ttl", "type": "limit_lifetime", "properties": {"seconds": 60}} if {
	input.action.properties.destructive
}

obligations contains {"id": "ask", "type": "require_approval", "properties": {"approvers": approvers}} if {
	input.arguments.amount > 1000
	input.context.approval.state != "approved"
}

approvers := ["user"] if not input.context.first_time

approvers := ["role:support-lead", "user"] if input.context.first_time

obligations contains {"id": "again", "type": "step_up", "properties": {"max_age": 300}} if {
	(input.time.ns / 1000000000) - input.subject.properties.auth_time > 600
}

decision := {"allow": true, "obligations": obligations}
