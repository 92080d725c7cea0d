package remit.authz

import rego.v1

matched contains pattern if {
	some pattern in data.remit_data.patterns
	glob.match(pattern, null, input.resource.id)
}

decision := {"allow": count(matched) > 0, "reasons": [{"code": "matched", "message": m} | some m in matched]}
