package fixtures

import rego.v1

asked := {
	"subject": {"properties": {"roles": ["lead"]}},
	"resource": {"id": "refund"},
	"time": {"hour": 9},
}

test_there_is_a_role if count(asked.subject.properties.roles) == 1
