package remit.authz

import rego.v1

clock := time.clock([input.time.ns, "Europe/Vienna"])

day := time.date(input.time.ns)

weekday := time.weekday(input.time.ns)

until := time.parse_rfc3339_ns(input.arguments.until) if is_string(input.arguments.until)

default until := 1900000000000000000

decision := {
	"allow": clock[0] < 12,
	"reasons": [{"code": weekday, "message": sprintf("%d-%02d-%02d %02d:%02d", array.concat(day, array.slice(clock, 0, 2)))} |
		until > time.add_date(input.time.ns, 0, 1, 0)
	],
}
