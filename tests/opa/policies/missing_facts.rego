package remit.authz

import future.keywords.not
import rego.v1

denials contains {"code": "a", "message": "not a prefix"} if not startswith(input.arguments.tool, "crm.")

denials contains {"code": "b", "message": "no country"} if not data.remit_data.users[input.subject.id].country

denials contains {"code": "c", "message": "under age"} if not data.remit_data.users[input.subject.id].age >= 18

denials contains {"code": "d", "message": "not internal"} if not input.resource.properties.facts.dataClass == "internal"

denials contains {"code": "e", "message": "not approved"} if {
	input.arguments.amount > 10
	not input.context.approval.state == "approved"
}

decision := {"allow": count(denials) < 4, "reasons": denials}
