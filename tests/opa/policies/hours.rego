package remit.authz

import future.keywords.not
import rego.v1

denials contains {"code": "weekend", "message": input.time.weekday} if input.time.weekday in {"Saturday", "Sunday"}

denials contains {"code": "night", "message": sprintf("%02d:00", [input.time.hour])} if {
	not input.time.hour in numbers_of_the_day
}

numbers_of_the_day := {8, 9, 10, 11, 12, 13, 14, 15, 16, 17}

decision := {"allow": count(denials) == 0, "reasons": denials}
