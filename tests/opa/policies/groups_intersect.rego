package remit.authz

import rego.v1

groups := {group | some group in input.subject.properties.groups}

roles := {role | some role in input.subject.properties.roles}

decision := {
	"allow": count((groups | roles) & {"support-lead", "auditor"}) > 0,
	"reasons": [{"code": "extra", "message": name} | some name in (groups - roles)],
}
