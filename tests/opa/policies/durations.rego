package remit.authz

import rego.v1

seconds := time.parse_duration_ns(object.get(input.arguments, "for", "5m")) / 1000000000

decision := {
	"allow": seconds <= 600,
	"obligations": [{"id": "ttl", "type": "limit_lifetime", "properties": {"seconds": seconds}} |
		seconds >= 1
		seconds == floor(seconds)
	],
}
